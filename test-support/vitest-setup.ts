/**
 * Set-up file of every test project: what escapes from a test fails that test.
 *
 * The product promises that the host never dies of it, so a rejection that nobody handles and an exception that nobody
 * catches are bugs wherever they show up. Vitest itself fails the run for them; here the failure gets the name of the test
 * it happened in. Warnings about leaked listeners count as well.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterAll, afterEach } from 'vitest';

const escaped: unknown[] = [];

process.on('unhandledRejection', (reason) => escaped.push(reason));
process.on('uncaughtException', (error) => escaped.push(error));
process.on('warning', (warning) => {
  if (warning.name === 'MaxListenersExceededWarning') escaped.push(warning);
});

async function failOnEscaped(): Promise<void> {
  // Rejections are reported at the end of the turn in which nobody handled them.
  await nextTurn();
  const found = escaped.splice(0);
  if (found.length > 0) throw new AggregateError(found, `Nobody handled: ${found.map(describe).join('; ')}`);
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

afterEach(failOnEscaped);
afterAll(failOnEscaped);
