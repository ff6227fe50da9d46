// Holds streams through one contender and reads them: `node receiver.ts <backend> <contender> <url>`.
import { setTimeout as sleep } from 'node:timers/promises';
import type { BackendName } from '../backends/backend.ts';
import { openStream, readAll, watchController } from '../client-stream.ts';
import { toShared } from '../clock.ts';
import { contender } from '../contenders/index.ts';
import { eventIdOf, numberOf } from '../frame.ts';
import { serve } from './serve.ts';

const PATIENCE_MS = 5_000;

const [backend, name = '', url = ''] = process.argv.slice(2);
const receiver = await contender(backend as BackendName, name).openReceiver(url);

let received = 0;
let disordered = 0;
let lastChunk: Uint8Array = new Uint8Array();
let handedAt = 0;
let readAt = 0;
let begun = { received: 0, passed: receiver.passed() ?? 0, cpu: process.cpuUsage() };

serve({
  async hold(sessions: readonly string[]) {
    const waiting: Promise<void>[] = [];
    for (const session of sessions) {
      const { controller, stream } = openStream();
      let next = 0;
      void readAll(stream, (chunk) => {
        const number = numberOf(chunk);
        if (number !== next) disordered += 1;
        next = number + 1;
        received += 1;
        lastChunk = chunk;
        readAt = performance.now();
      });
      const watched = watchController(controller, () => {
        handedAt = performance.now();
      });
      waiting.push(receiver.hold(session, watched));
      if (waiting.length === 500) await Promise.all(waiting.splice(0));
    }
    await Promise.all(waiting);
  },

  lastEventId: () => eventIdOf(lastChunk),

  begin() {
    begun = { received, passed: receiver.passed() ?? 0, cpu: process.cpuUsage() };
  },

  /** Waits until everything of the round has arrived, and tells what it took. */
  async finish({ mine, all }: { mine: number; all: number }): Promise<ReceiverRound> {
    const isComplete = (): boolean =>
      received - begun.received >= mine && (receiver.passed() ?? Number.POSITIVE_INFINITY) - begun.passed >= all;
    // What has not come when nothing has come for a while is lost: whoever asked judges that.
    let seen = received;
    for (let idle = performance.now(); !isComplete() && performance.now() - idle < PATIENCE_MS; await sleep(5)) {
      if (received === seen) continue;
      seen = received;
      idle = performance.now();
    }
    const { user, system } = process.cpuUsage(begun.cpu);
    return {
      received: received - begun.received,
      disordered,
      handedAt: toShared(handedAt),
      readAt: toShared(readAt),
      cpuMs: (user + system) / 1_000,
    };
  },
});

export type ReceiverRound = {
  readonly received: number;
  readonly disordered: number;
  /** When the last frame was handed to a controller, on the shared clock. */
  readonly handedAt: number;
  /** When the last frame was read from a stream, on the shared clock. */
  readonly readAt: number;
  readonly cpuMs: number;
};
