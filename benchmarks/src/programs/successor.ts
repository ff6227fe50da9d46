// Takes over the sessions of a process that died: `node successor.ts <backend> <url>`.
import { waitFor } from 'test-support';
import type { BackendName } from '../backends/backend.ts';
import { openStream, readAll } from '../client-stream.ts';
import { numberOf } from '../frame.ts';
import { openOurs } from '../our-managers.ts';
import { serve } from './serve.ts';

const [backend, url = ''] = process.argv.slice(2);
const manager = openOurs(backend as BackendName, url, { keepAliveMs: 0, onError: () => undefined });
await manager.health();

serve({
  /** Opens a stream for each session at once, and waits until every one of them has got the frames `from` to `to`. */
  async takeOver({ sessions, lastEventId, from, to }: TakeOver): Promise<TakenOver> {
    const begun = performance.now();
    let complete = 0;
    let others = 0;
    let lastAt = begun;
    const creating = sessions.map((session) => {
      const { controller, stream } = openStream();
      let next = from;
      void readAll(stream, (chunk) => {
        if (numberOf(chunk) === next) next += 1;
        else others += 1;
        if (next <= to) return;
        complete += 1;
        lastAt = performance.now();
      });
      return manager.create(session, controller, lastEventId === undefined ? {} : { lastEventId });
    });
    await Promise.all(creating);
    const createdMs = performance.now() - begun;
    const message = (): string => `${sessions.length} streams; ${complete} are complete`;
    await waitFor(() => complete >= sessions.length, { timeoutMs: 60_000, message });
    return { createdMs, liveMs: lastAt - begun, complete, others };
  },
});

type TakeOver = { sessions: readonly string[]; lastEventId?: string; from: number; to: number };

export type TakenOver = {
  /** From the first `create` until the last has resolved. */
  readonly createdMs: number;
  /** From the first `create` until the last stream was complete. */
  readonly liveMs: number;
  readonly complete: number;
  /** Frames that were not the next one. */
  readonly others: number;
};
