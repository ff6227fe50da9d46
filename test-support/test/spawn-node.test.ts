import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { spawnNode, waitFor } from '../src/index.ts';

const counter = new URL('./programs/counter.ts', import.meta.url);

it('spawn-node/messages: speaks JSON both ways and captures the output', async () => {
  await using child = await spawnNode(counter, ['sheep'], { COUNTER_HOME: 'meadow' });
  child.send({ hello: 'ü' });
  const answer = await child.nextMessage<{ echo?: unknown }>((message) => message.echo !== undefined);
  expect(answer).toEqual({ echo: { hello: 'ü' }, home: 'meadow' });
  await waitFor(() => child.output.includes('counting sheep'));
});

it('spawn-node/on-message: a listener takes what it wants, what came before it included, in order', async () => {
  await using child = await spawnNode(counter);
  const later = await child.nextMessage<{ count: number }>(({ count }) => count === 3);
  const heard: number[] = [];
  child.onMessage((message) => {
    const { count } = message as { count?: number };
    if (count === undefined) return false;
    heard.push(count);
    return true;
  });
  child.send('not a count');
  expect(await child.nextMessage()).toMatchObject({ echo: 'not a count' });
  await waitFor(() => heard.length > 5);
  expect(later.count).toBe(3);
  expect(heard).toEqual(heard.map((_, i) => [0, 1, 2][i] ?? i + 1));
});

it('spawn-node/freeze: a frozen child says nothing until it is thawed', async () => {
  await using child = await spawnNode(counter);
  const frozenAt = await child.nextMessage<{ count: number }>();
  child.freeze();
  await sleep(50); // What was on its way arrives.
  let last = frozenAt.count;
  const drain = async (): Promise<void> => {
    for (;;) last = (await child.nextMessage<{ count: number }>(undefined, { timeoutMs: 100 })).count;
  };
  await expect(drain()).rejects.toThrow('in vain');
  child.thaw();
  expect(await child.nextMessage()).toEqual({ count: last + 1 });
});

it('spawn-node/kill: the exit says how it ended, and what it is told afterwards does no harm', async () => {
  await using child = await spawnNode(counter);
  expect(await child.kill('SIGKILL')).toEqual({ code: null, signal: 'SIGKILL' });
  await waitFor(() => {
    child.send('are you there?');
    return true;
  });
  await sleep(20); // An event that nobody handled would have come by then.
});

it('parent-death/cleans-up: a killed starter leaves no server, no program and no files behind', async () => {
  await using starter = await spawnNode(new URL('./programs/starter.ts', import.meta.url));
  const { pids, directory } = await starter.nextMessage<{ pids: number[]; directory: string }>(undefined, {
    timeoutMs: 60_000,
  });
  expect(pids.every(isAlive)).toBe(true);
  await starter.kill();
  await waitFor(() => !pids.some(isAlive) && !existsSync(directory), { message: 'server and program to end' });
});

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
