import type { WorkerHandle } from 'wrangler';
import type { Call } from './call.ts';
import { type Counts, noCounts } from './counts.ts';
import { SseClient } from './sse-client.ts';

type Outcome = { readonly value?: unknown; readonly error?: string };

/** One contender: a Worker that owns the objects, one that holds the streams, one that sends. */
export class Deployment {
  readonly #objects: WorkerHandle;
  readonly #holder: WorkerHandle;
  readonly #sender: WorkerHandle;

  constructor(objects: WorkerHandle, holder: WorkerHandle, sender: WorkerHandle) {
    this.#objects = objects;
    this.#holder = holder;
    this.#sender = sender;
  }

  /** Opens the stream of a session. */
  open(session: string, lastEventId?: string): Promise<SseClient> {
    return SseClient.open(this.#holder, `/stream?id=${session}`, lastEventId);
  }

  /** Opens a `subscriptions/listen` stream. */
  listen(origin: string): Promise<SseClient> {
    return SseClient.open(this.#holder, `/listen?id=${origin}`);
  }

  /** Sends frames from the other Worker, all in one turn of one request. Resolves when they are accepted. */
  async publish(sessions: readonly string[] | undefined, ...frames: string[]): Promise<void> {
    await this.call(
      frames.map((frame) => ({ manager: 'streams', method: 'publish', args: [sessions ?? null, frame] })),
    );
  }

  /** Calls managers of the Worker that sends, all in one request. @throws when one of them rejects */
  async call(calls: readonly Call[]): Promise<void> {
    const outcomes = await this.tryCall(calls);
    const failed = outcomes.find(({ error }) => error !== undefined);
    if (failed) throw new Error(`a call in a Worker failed: ${failed.error}`);
  }

  async tryCall(calls: readonly Call[]): Promise<Outcome[]> {
    const response = await this.#sender.fetch('http://bench/call', { method: 'POST', body: JSON.stringify(calls) });
    return (await response.json()) as Outcome[];
  }

  /** A request that does nothing. */
  async touch(): Promise<void> {
    const response = await this.#sender.fetch('http://bench/');
    await response.text();
  }

  /** Resets every object, as a deploy does. */
  async breakObjects(): Promise<void> {
    const ids = await this.#objects.listDurableObjectIds('SyncLayer');
    const query = new URLSearchParams(ids.map((id) => ['id', id]));
    const response = await this.#objects.fetch(`http://bench/break?${query}`);
    if (!response.ok) throw new Error(`objects were not reset: ${await response.text()}`);
  }

  /** What happened since the last call, where a runtime is metered. */
  async takeCounts(): Promise<Usage> {
    const [objects, ...workers] = await Promise.all([this.#objects, this.#holder, this.#sender].map(countsOf));
    const counts = objects ?? noCounts();
    const sum = (name: keyof Counts): number => workers.reduce((total, each) => total + each[name], 0);
    const { messagesIn, socketMessages, ...rest } = counts;
    return {
      ...rest,
      kvReads: sum('kvReads'),
      kvWrites: sum('kvWrites'),
      messagesOut: socketMessages,
      messagesIn,
      pings: sum('socketMessages') - messagesIn,
    };
  }
}

/** What a deployment did, as a bill sees it. */
export type Usage = Omit<Counts, 'socketMessages'> & {
  /** From objects to Workers. */
  readonly messagesOut: number;
  /** From Workers, answered by the runtime without the object. */
  readonly pings: number;
};

async function countsOf(worker: WorkerHandle): Promise<Counts> {
  const response = await worker.fetch('http://bench/counts');
  return (await response.json()) as Counts;
}
