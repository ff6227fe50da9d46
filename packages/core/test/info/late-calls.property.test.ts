import fc from 'fast-check';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { SessionError } from '../../src/errors.ts';
import { StoredInfoSessionManager } from '../../src/info/stored-info-session-manager.ts';
import { emptyStore, FaultyStore } from './faulty-store.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'performance', 'Date'] });
});
afterEach(() => {
  vi.useRealTimers();
});

const LEVELS = ['debug', 'info', 'notice', 'warning', 'error'] as const;
/** Longer than a round trip: closer calls of different processes have no order that anybody could know. */
const GAP_MS = 100;
const TRAVEL_MS = 40;

type Step = {
  readonly process: 0 | 1;
  readonly call: 'level' | 'delete' | 'subscribe' | 'wait';
  readonly gapMs: number;
};

const step: fc.Arbitrary<Step> = fc.record({
  process: fc.constantFrom(0, 1),
  call: fc.constantFrom('level', 'level', 'subscribe', 'delete', 'wait'),
  gapMs: fc.integer({ min: GAP_MS, max: 600 }),
});

it('info/late-calls: whatever is late, lost and repeated, what was called last counts, on every process', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 1, maxLength: 12 }),
      // Each process loses its way to the backend for a while, or not.
      fc.tuple(fc.integer({ min: 0, max: 4_000 }), fc.integer({ min: 0, max: 4_000 })),
      fc.infiniteStream(fc.integer({ min: 0, max: TRAVEL_MS })),
      // Which answers are lost, among the first of each process.
      fc.array(fc.boolean(), { maxLength: 20 }),
      async (steps, awayMs, travelMs, lost) => {
        const started = performance.now();
        const backend = emptyStore();
        const errors: string[] = [];
        const stores = awayMs.map((ms) => {
          const answers = lost.values();
          const view = new FaultyStore(backend);
          const travel = () => new Promise<void>((resolve) => setTimeout(resolve, travelMs.next().value));
          view.before = async () => {
            await travel();
            if (performance.now() - started < ms) throw new SessionError('unavailable', 'away');
          };
          view.after = async () => {
            await travel();
            // The statement was executed; its answer was lost.
            if (answers.next().value) throw new SessionError('unavailable', 'lost');
          };
          return view;
        });
        const onError = ({ message }: SessionError): void => {
          errors.push(message);
        };
        const settings = { sendTimeoutMs: 60_000, maxOutboxBytes: 1e6, onError };
        const processes = stores.map((store) => new StoredInfoSessionManager(store, settings));

        let level: string | undefined;
        let subscribed = false;
        for (const [i, { process, call, gapMs }] of steps.entries()) {
          const manager = processes[process];
          if (call === 'level') {
            level = LEVELS[i % LEVELS.length];
            void manager?.setLogLevel('s', LEVELS[i % LEVELS.length]);
          } else if (call === 'subscribe') {
            subscribed = true;
            void manager?.addSubscription('s', 'test://r');
          } else if (call === 'delete') {
            level = undefined;
            subscribed = false;
            void manager?.delete('s');
          }
          await vi.advanceTimersByTimeAsync(gapMs);
        }
        await vi.advanceTimersByTimeAsync(50_000);
        for (const store of stores) Object.assign(store, { before: () => undefined, after: () => undefined });

        expect(errors).toEqual([]);
        for (const manager of processes) {
          const answers = Promise.all([
            manager.getLogLevel('s').catch(() => undefined),
            manager.getSubscriptions('test://r'),
          ]);
          await vi.advanceTimersByTimeAsync(0);
          expect(await answers).toEqual([level, subscribed ? ['s'] : []]);
        }
      },
    ),
    { numRuns: 200 },
  );
}, 60_000);
