// Heap of idle streams, beside what their controllers take: `node heap.ts memory`, or
// `node heap.ts <backend> <url>`.
import { randomUUID } from 'node:crypto';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { InMemoryStreamSessionManager } from '@tmcp/session-manager';
import type { BackendName } from '../backends/backend.ts';
import { type ClientStream, openStream } from '../client-stream.ts';
import { openOurs } from '../our-managers.ts';
import { serve } from './serve.ts';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

const [where = 'memory', url = ''] = process.argv.slice(2);
const manager = where === 'memory' ? new InMemoryStreamSessionManager() : openOurs(where as BackendName, url);
await manager.health();
const held: ClientStream[] = [];

serve({
  async measure(count: number): Promise<HeapUse> {
    await hold(200); // what is compiled and allocated once
    const ids = Array.from({ length: count }, () => randomUUID());
    const streams = ids.map(openStream);
    const before = await heapUsed();
    const more = ids.map(openStream);
    const after = await heapUsed();
    more.length = 0;
    const idle = await heapUsed();
    await Promise.all(streams.map(({ controller }, index) => manager.create(ids[index] ?? '', controller)));
    const used = await heapUsed();
    const { attached } = manager.stats();
    if (attached !== count + 200) throw new Error(`${attached} streams are attached`);
    held.push(...streams);
    return { controllerBytes: (after - before) / count, streamBytes: (used - idle) / count };
  },
});

async function hold(count: number): Promise<void> {
  for (let i = 0; i < count; i += 1) {
    const stream = openStream();
    held.push(stream);
    await manager.create(randomUUID(), stream.controller);
  }
}

/** Once everything has calmed down. */
async function heapUsed(): Promise<number> {
  await new Promise((resolve) => setTimeout(resolve, 300));
  collectGarbage();
  collectGarbage();
  return process.memoryUsage().heapUsed;
}

export type HeapUse = {
  /** Of a `ReadableStream` with its controller that nobody manages. */
  readonly controllerBytes: number;
  /** What a manager adds to it. */
  readonly streamBytes: number;
};
