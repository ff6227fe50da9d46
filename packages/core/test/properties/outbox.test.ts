import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { AppendAnswer, Batch } from '../../src/delivery/backplane.ts';
import type { Outgoing, OutgoingControl, OutgoingPayload } from '../../src/delivery/batch.ts';
import { type Appended, INLINE_PAYLOAD_BYTES, Outbox } from '../../src/delivery/outbox.ts';
import { SessionError, type SessionErrorCode } from '../../src/errors.ts';
import { InProcessLog } from '../../src/in-memory/in-process-log.ts';
import { type HistoryEntry, recordHistory } from '../support/log-faults.ts';
import { VirtualTime } from '../support/virtual-time.ts';

type Fault = 'refuse' | 'swallow' | 'slow' | 'late' | 'ghost';
type Step =
  | {
      readonly do: 'send';
      readonly bytes: number;
      readonly receivers: number;
      readonly count: number;
      readonly bad: boolean;
    }
  | { readonly do: 'control'; readonly kind: 'c' | 'r' | 'e'; readonly session: number }
  | { readonly do: 'withdraw' }
  | { readonly do: 'fault'; readonly call: 'append' | 'putLarge'; readonly fault: Fault }
  | { readonly do: 'renew epoch' | 'forget producer' | 'retry now' | 'close' }
  | { readonly do: 'advance'; readonly ms: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('send' as const),
      bytes: fc.oneof(
        { weight: 6, arbitrary: fc.integer({ min: 12, max: 300 }) },
        { weight: 1, arbitrary: fc.constantFrom(INLINE_PAYLOAD_BYTES, INLINE_PAYLOAD_BYTES + 1) },
      ),
      receivers: fc.constantFrom(0, 1, 1, 2, 30),
      bad: fc.integer({ min: 0, max: 9 }).map((n) => n === 9),
      count: fc.oneof(
        { weight: 20, arbitrary: fc.constantFrom(1, 1, 2, 5, 20) },
        { weight: 1, arbitrary: fc.constant(600) },
      ),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('control' as const),
      kind: fc.constantFrom('c' as const, 'r' as const, 'e' as const),
      session: fc.nat(2),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ do: 'withdraw' as const }) },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('fault' as const),
      call: fc.constantFrom('append' as const, 'append' as const, 'append' as const, 'putLarge' as const),
      fault: fc.constantFrom<Fault>('refuse', 'swallow', 'slow', 'late', 'ghost'),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constantFrom('renew epoch' as const, 'forget producer' as const, 'retry now' as const),
    }),
  },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('advance' as const), ms: fc.constantFrom(1, 30, 300, 1_500) }) },
);

const SEND_TIMEOUT_MS = 1_000;
const MAX_OUTBOX_BYTES = 400_000;
/** Content that this log refuses. */
const BAD = '!';
const LIMITS = { partBytes: 500, batchBytes: 4_000 };

/** What was handed in, and what became of it. */
type Call = {
  readonly operation: Outgoing;
  readonly key: string;
  readonly at: number;
  outcome: Appended | SessionErrorCode | undefined;
  settledAt: number | undefined;
};

/** An outbox before a log whose answers get lost. */
class Bench {
  readonly time: VirtualTime;
  readonly log = new InProcessLog();
  readonly history: HistoryEntry[] = recordHistory(this.log);
  readonly calls: Call[] = [];
  readonly outbox: Outbox;
  readonly #faults = { append: [] as Fault[], putLarge: [] as Fault[] };
  readonly #contents = new Map<string, string>();
  #epoch = this.log.epoch;
  #inFlight = 0;

  constructor(time: VirtualTime) {
    this.time = time;
    this.outbox = new Outbox({
      ...LIMITS,
      sendTimeoutMs: SEND_TIMEOUT_MS,
      maxOutboxBytes: MAX_OUTBOX_BYTES,
      cursor: () => this.log.head,
      ready: async () => undefined,
      epoch: () => this.#epoch,
      append: (batch) => this.#append(batch),
      putLarge: (id, payload) =>
        this.#faulty('putLarge', async () => void this.log.large.set(id, { payload, storedAt: this.time.now })),
      epochChanged: async () => this.#adopt(),
      gap: () => undefined,
      failure: () => undefined,
    });
  }

  async carryOut(step: Step): Promise<void> {
    switch (step.do) {
      case 'send':
        for (let n = 0; n < step.count; n += 1) this.#send(step);
        break;
      case 'control':
        this.#control(step.kind, `s${step.session}`);
        break;
      case 'withdraw': {
        const last = this.calls.findLast(({ operation }) => 'k' in operation);
        if (last) this.outbox.withdraw(last.operation as OutgoingControl);
        break;
      }
      case 'fault':
        this.#faults[step.call].push(step.fault);
        break;
      case 'renew epoch':
        this.log.renewEpoch();
        break;
      case 'forget producer':
        this.outbox.renewProducer();
        break;
      case 'retry now':
        this.outbox.retryNow();
        break;
      case 'close':
        this.outbox.close(new SessionError('closed', 'closed on purpose'));
        break;
      case 'advance':
        await this.time.advance(step.ms);
        break;
    }
    await this.time.settle();
  }

  heal(): void {
    for (const faults of Object.values(this.#faults)) faults.splice(0);
  }

  /** Where operations were stored: their places in the history. */
  stores(): Map<string, number[]> {
    const stores = new Map<string, number[]>();
    for (const [index, entry] of this.history.entries()) {
      const key = keyOf(entry);
      stores.set(key, [...(stores.get(key) ?? []), index]);
    }
    return stores;
  }

  #send({ bytes, receivers, bad }: Extract<Step, { do: 'send' }>): void {
    const key = `${this.calls.length}${bad ? BAD : ''}|`;
    const to =
      receivers === 0 ? 0 : receivers === 1 ? 'one' : Array.from({ length: receivers }, (_, n) => `receiver ${n}`);
    const operation: OutgoingPayload = {
      to,
      payload: key.padEnd(bytes, '.'),
      payloadBytes: Math.max(bytes, key.length),
    };
    this.#call(key, operation, this.outbox.send(operation));
  }

  #control(k: 'c' | 'r' | 'e', s: string): void {
    const key = `${this.calls.length}`;
    const operation: OutgoingControl =
      k === 'c' ? { k, s, c: key, n: 'node' } : k === 'r' ? { k, s, c: key, d: 0, p: 0 } : { k, s };
    this.#call(k === 'e' ? 'end' : key, operation, this.outbox.control(operation));
  }

  #call(key: string, operation: Outgoing, promise: Promise<Appended>): void {
    const call: Call = { operation, key, at: this.time.now, outcome: undefined, settledAt: undefined };
    this.calls.push(call);
    const settle = (outcome: Appended | SessionErrorCode): void => {
      call.outcome = outcome;
      call.settledAt = this.time.now;
    };
    promise.then(settle, (error: SessionError) => settle(error.code));
  }

  #adopt(): void {
    if (this.#epoch === this.log.epoch) return;
    this.#epoch = this.log.epoch;
    this.outbox.renewProducer();
  }

  async #append(batch: Omit<Batch, 'node'>): Promise<AppendAnswer> {
    this.#inFlight += 1;
    expect(this.#inFlight).toBe(1);
    this.#checkBatch(batch);
    try {
      if (batch.parts.some(({ data }) => data.includes(BAD))) throw new SessionError('invalid-message', 'no such text');
      return await this.#faulty('append', async () => this.log.append({ ...batch, node: 'node' }).answer);
    } finally {
      this.#inFlight -= 1;
    }
  }

  #checkBatch({ producer, number, acknowledged, parts, controls }: Omit<Batch, 'node'>): void {
    const operations = parts.reduce((sum, { count }) => sum + count, 0);
    const bytes = parts.reduce((sum, part) => sum + part.bytes, 0);
    for (const part of parts) {
      if (new TextEncoder().encode(part.head + part.data).length !== part.bytes) throw new Error('miscounted');
      if (part.count > 1 && part.bytes > LIMITS.partBytes) throw new Error(`a part of ${part.bytes} bytes`);
    }
    expect(operations).toBeLessThanOrEqual(500);
    if (operations > 1) expect(bytes, 'bytes of a batch').toBeLessThanOrEqual(LIMITS.batchBytes);
    expect(new Set(controls.map(({ session }) => session)).size).toBe(controls.length);
    // A number stands for one content for ever, and rises.
    expect(acknowledged).toBeLessThan(number);
    const content = parts.map(({ head, data }) => head + data).join('');
    expect(this.#contents.get(`${producer}:${number}`) ?? content).toBe(content);
    this.#contents.set(`${producer}:${number}`, content);
  }

  async #faulty<T>(call: 'append' | 'putLarge', execute: () => Promise<T>): Promise<T> {
    const fault = this.#faults[call].shift();
    const lost = new SessionError('unavailable', 'failed on purpose');
    if (fault === 'refuse') throw lost;
    if (fault === 'ghost') {
      void this.time.sleep(200).then(execute);
      throw lost;
    }
    if (fault === 'late') await this.time.sleep(200);
    const answer = await execute();
    if (fault === 'slow') await this.time.sleep(200);
    if (fault === 'swallow') throw lost;
    return answer;
  }
}

function keyOf({ item, text }: HistoryEntry): string {
  if ('k' in item) return item.k === 'e' ? 'end' : item.c;
  return text?.slice(0, text.indexOf('|') + 1) ?? '';
}

async function bench(steps: readonly Step[], seed: number): Promise<void> {
  const time = new VirtualTime();
  time.install(seed);
  try {
    const bench = new Bench(time);
    for (const step of steps) await bench.carryOut(step);
    bench.heal();
    await time.advance(5_000);
    await time.until(bench.outbox.flushed(), 10);
    let last = 0;
    const allStores = bench.stores();
    for (const call of bench.calls) {
      const { operation, outcome, at, settledAt } = call;
      if (outcome === undefined) throw new Error('a promise never settled');
      if ('payload' in operation && (settledAt ?? 0) - at > SEND_TIMEOUT_MS + 1) throw new Error('settled too late');
      // One message that is refused takes no other with it.
      if (outcome === 'invalid-message' && !call.key.includes(BAD)) throw new Error(`${call.key} was refused`);
      if (call.key === 'end') continue; // one end is like another
      const stores = allStores.get(call.key) ?? [];
      if ('payload' in operation && stores.length > 1) throw new Error(`${call.key} was stored ${stores.length} times`);
      if (typeof outcome !== 'object') continue;
      // Accepted is stored, where it was said, and in the order of the calls.
      const index = stores.find((at) => {
        const { epoch, position } = bench.history[at] as HistoryEntry;
        return epoch === outcome.epoch && position === outcome.position;
      });
      if (index === undefined) throw new Error(`${call.key} was accepted, and is not stored there`);
      if (index < last) throw new Error(`${call.key} is not in call order`);
      last = index;
    }
    expect(bench.outbox.backlogBytes).toBe(0);
    expect(bench.outbox.claimHold).toBeUndefined();
    expect(time.pending()).toBe(0);
  } finally {
    time.uninstall();
  }
}

describe('the outbox', () => {
  const steps = fc.array(step, { maxLength: 40, size: 'max' });
  const seed = fc.noShrink(fc.nat());

  it('properties/outbox-once: what was accepted is stored once and in call order, whatever answers are lost; every promise settles and nothing is held afterwards', async () => {
    await fc.assert(fc.asyncProperty(steps, seed, bench), { numRuns: 80 });
  });

  it('properties/outbox-close: the same when it is closed at any moment', async () => {
    await fc.assert(
      fc.asyncProperty(steps, fc.array(step, { maxLength: 6 }), seed, (before, after, seed) =>
        bench([...before, { do: 'close' }, ...after], seed),
      ),
      { numRuns: 80 },
    );
  });
});
