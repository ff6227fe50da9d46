import { fileURLToPath } from 'node:url';
import { createTestHarness } from 'wrangler';
import { hash } from '../../src/hash.ts';

export type Worker = { fetch(url: string, init?: RequestInit): Promise<Response> };

export type Workers = {
  readonly a: Worker;
  readonly b: Worker;
  /** Takes the object of a session out of memory. */
  evict(session: string, webSockets: 'hibernate' | 'close'): Promise<void>;
  close(): Promise<void>;
};

/** Two Workers on one Durable Object class, in real workerd, over loopback. */
export async function startWorkers(): Promise<Workers> {
  const root = fileURLToPath(new URL('.', import.meta.url));
  const harness = createTestHarness({
    root,
    workers: [{ configPath: './wrangler.a.jsonc' }, { configPath: './wrangler.b.jsonc' }],
  });
  await harness.listen();
  const owner = harness.getWorker('a');
  const [a, b] = [owner, harness.getWorker('b')] as unknown as [Worker, Worker];
  const evict = (session: string, webSockets: 'hibernate' | 'close'): Promise<void> =>
    owner.evictDurableObject('SyncLayer', { name: `v2/8/${hash(session) % 8}/default`, webSockets });
  return { a, b, evict, close: () => harness.close() };
}

/** Asks again until something holds that nobody tells of. */
export async function until(condition: () => Promise<boolean>, what: string, ms = 20_000): Promise<void> {
  const deadline = performance.now() + ms;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`waited ${ms} ms in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

export function numbers(count: number, from = 1): string[] {
  return Array.from({ length: count }, (_, index) => String(from + index));
}

/** Asks a Worker something of its managers. */
export async function ask<T>(worker: Worker, path: string, query: Record<string, string> = {}): Promise<T> {
  const response = await worker.fetch(`http://test${path}?${new URLSearchParams(query)}`);
  if (!response.ok) throw new Error(`${path} failed: ${await response.text()}`);
  return (await response.json()) as T;
}

/** Publishes numbered messages from one Worker, all in one request. No receivers are everyone. */
export async function publish(
  worker: Worker,
  to: readonly string[],
  from: number,
  count: number,
  padding = 0,
): Promise<void> {
  const query = { to: JSON.stringify(to), from: String(from), count: String(count), padding: String(padding) };
  await ask(worker, '/publish', query);
}
