import fc from 'fast-check';
import type { CallFault, CallName, PushFault } from '../faulty-backplane.ts';
import { cleanUpAfter, copyOf, type LogCopy, truncate, wipe } from '../support/log-faults.ts';
import type { TestNode, World } from '../support/world.ts';

/** What may happen while one process, the reader, reads a log that another one, the writer, writes as well. */
export type Command =
  | {
      readonly do: 'publish';
      readonly by: 'reader' | 'writer';
      readonly to: readonly string[] | undefined;
      readonly count: number;
    }
  | { readonly do: 'push'; readonly fault: PushFault }
  | { readonly do: 'call'; readonly by: 'reader' | 'writer'; readonly call: CallName; readonly fault: CallFault }
  | { readonly do: 'listen'; readonly up: boolean }
  | { readonly do: 'cut'; readonly off: boolean }
  | { readonly do: 'advance'; readonly ms: number };

/** What may happen to the store. */
export type Damage =
  | { readonly do: 'truncate'; readonly back: number }
  | { readonly do: 'copy' }
  | { readonly do: 'roll back' }
  | { readonly do: 'wipe' }
  | { readonly do: 'clean up' }
  | { readonly do: 'forget answers' };

const delayMs = fc.constantFrom(1, 5, 30, 400, 2_900, 3_100, 9_500);

export const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('publish' as const),
      by: fc.constantFrom('writer' as const, 'writer' as const, 'reader' as const),
      to: fc.constantFrom(undefined, ['s'], ['s2'], ['s', 's2'], ['other']),
      count: fc.integer({ min: 1, max: 6 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('push' as const),
      fault: fc.oneof(
        fc.constantFrom<PushFault>(
          { kind: 'drop' },
          { kind: 'repeat' },
          { kind: 'reverse' },
          { kind: 'wake', head: true },
          { kind: 'wake', head: false },
        ),
        fc.record({ kind: fc.constant('delay' as const), ms: delayMs }),
      ),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('call' as const),
      by: fc.constantFrom('reader' as const, 'reader' as const, 'writer' as const),
      call: fc.constantFrom<CallName>('read', 'read', 'beat', 'append', 'search', 'maintain', 'renewEpoch'),
      fault: fc.oneof(
        fc.constantFrom<CallFault>({ kind: 'refuse' }, { kind: 'swallow' }),
        fc.record({ kind: fc.constantFrom('late' as const, 'slow' as const, 'ghost' as const), ms: delayMs }),
      ),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('listen' as const), up: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('cut' as const), off: fc.boolean() }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('advance' as const), ms: delayMs }) },
);

export const damage: fc.Arbitrary<Damage> = fc.oneof(
  fc.record({ do: fc.constant('truncate' as const), back: fc.nat(6) }),
  fc.constantFrom<Damage>(
    { do: 'copy' },
    { do: 'copy' },
    { do: 'roll back' },
    { do: 'roll back' },
    { do: 'wipe' },
    { do: 'clean up' },
    { do: 'forget answers' },
  ),
);

/** A world of one reader and one writer, whose batches consist of several parts. */
export class CursorWorld {
  readonly world: World;
  readonly reader: TestNode;
  readonly writer: TestNode;
  #copy: LogCopy | undefined;
  /** When the store was damaged. */
  readonly damagedAt: number[] = [];

  constructor(world: World, resumeWindowMs = 60_000) {
    this.world = world;
    const small = { partBytes: 120, batchBytes: 1_000 };
    this.reader = world.addNode({ keepAliveMs: 0, resumeWindowMs }, small);
    this.writer = world.addNode({ keepAliveMs: 0, resumeWindowMs }, small);
  }

  async carryOut(step: Command | Damage): Promise<void> {
    const { world, reader } = this;
    switch (step.do) {
      case 'publish':
        for (let n = 0; n < step.count; n += 1) world.publish(this.#by(step.by), step.to);
        break;
      case 'push':
        reader.backplane.failNextPush(step.fault);
        break;
      case 'call':
        this.#by(step.by).backplane.failNext(step.call, step.fault);
        break;
      case 'listen':
        reader.backplane.listen(step.up);
        break;
      case 'cut':
        reader.backplane.cutOff(step.off);
        break;
      case 'advance':
        await world.time.advance(step.ms);
        break;
      default:
        this.#damage(step);
    }
    await world.time.settle();
  }

  heal(): void {
    for (const { backplane } of [this.reader, this.writer]) backplane.heal();
  }

  #by(who: 'reader' | 'writer'): TestNode {
    return who === 'reader' ? this.reader : this.writer;
  }

  #damage(step: Damage): void {
    const { log, history, time } = this.world;
    if (step.do === 'copy') {
      this.#copy = copyOf(log);
      return;
    }
    if (step.do === 'roll back' && !this.#copy) return;
    this.damagedAt.push(time.now);
    switch (step.do) {
      case 'truncate':
        truncate(log, log.head - step.back);
        break;
      case 'roll back': {
        this.#copy?.();
        for (const entry of history) {
          if (entry.epoch === log.epoch && entry.position > log.head) entry.lostAt ??= time.now;
        }
        break;
      }
      case 'wipe':
        wipe(log);
        break;
      case 'clean up':
        cleanUpAfter(log, this.reader.node.id);
        break;
      case 'forget answers':
        log.producers.clear();
        break;
    }
  }
}
