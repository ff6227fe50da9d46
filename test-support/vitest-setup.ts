/**
 * Set-up file of every test project: what escapes from a test fails that test, and what a file leaves open fails the file.
 *
 * The product promises that the host never dies of it, so a rejection that nobody handles and an exception that nobody
 * catches are bugs wherever they show up, as are sockets, servers and child processes that keep the process alive when all
 * is closed. Warnings about leaked listeners count as well.
 */
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach } from 'vitest';

const HANDLES: readonly string[] = ['TCPSocketWrap', 'TCPServerWrap', 'ProcessWrap'];

const escaped: unknown[] = [];
const openBefore = openHandles().length;

const keep = (reason: unknown): void => void escaped.push(reason);
const warn = (warning: Error): void => {
  if (warning.name === 'MaxListenersExceededWarning') escaped.push(warning);
};
process.on('unhandledRejection', keep).on('uncaughtException', keep).on('warning', warn);

afterEach(async () => {
  // Rejections are reported at the end of the turn in which nobody handled them.
  await nextTurn();
  failOnEscaped();
});

// It was registered first, so it runs last: after the file's own cleaning up.
afterAll(async () => {
  // Whatever was still on its way when the last test ended gets a moment to fail.
  await sleep(50);
  failOnEscaped();
  const deadline = performance.now() + 10_000;
  while (openHandles().length > openBefore && performance.now() < deadline) await sleep(20);
  const open = openHandles();
  // The next file may run in this process.
  process.off('unhandledRejection', keep).off('uncaughtException', keep).off('warning', warn);
  if (open.length > openBefore) throw new Error(`Left open by this file: ${open.join(', ')}`);
});

function failOnEscaped(): void {
  const found = escaped.splice(0);
  if (found.length > 0) throw new AggregateError(found, `Nobody handled: ${found.map(String).join('; ')}`);
}

/** Open handles that keep the process alive. */
function openHandles(): string[] {
  return process.getActiveResourcesInfo().filter((name) => HANDLES.includes(name));
}
