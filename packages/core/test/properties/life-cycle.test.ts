import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { CallFault, CallName, PushFault } from '../faulty-backplane.ts';
import { type TestNode, World } from '../support/world.ts';
import { LifeCycleWorld, type Step } from './life-cycle-world.ts';

const NODES = 3;
const CLIENTS = 3;
const node = fc.nat(NODES - 1);
const client = fc.nat(CLIENTS - 1);
const delayMs = fc.constantFrom(1, 5, 25, 120, 400, 1_500, 3_100);

const coming: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('send' as const),
      by: node,
      to: fc.option(fc.uniqueArray(client, { minLength: 1 }), { nil: undefined }),
      count: fc.integer({ min: 1, max: 4 }),
      // Some are worth a slow reader's buffer, some are stored beside the log.
      bytes: fc.constantFrom(0, 0, 0, 0, 0, 0, 300, 300, 70_000),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('open' as const),
      client,
      at: node,
      how: fc.oneof(
        fc.constant('take over' as const),
        fc.constant('cancel first' as const),
        fc.record({ lost: fc.nat(3), cancel: fc.boolean() }),
      ),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('cancel' as const), client }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('end' as const), client, at: node }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('has' as const), client, at: node }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('advance' as const), ms: delayMs }) },
);

const reading: fc.Arbitrary<Step> = fc.record({ do: fc.constantFrom('pause' as const, 'resume' as const), client });

const trouble: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constantFrom('crash' as const, 'close' as const, 'freeze' as const), node }),
  fc.record({ do: fc.constant('thaw' as const), first: fc.constantFrom('data' as const, 'timers' as const) }),
  fc.record({ do: fc.constant('listen' as const), node, up: fc.boolean() }),
  fc.record({ do: fc.constant('cut' as const), node, off: fc.boolean() }),
  fc.record({
    do: fc.constant('call' as const),
    node,
    call: fc.constantFrom<CallName>('append', 'append', 'read', 'beat', 'search', 'inspect', 'locate'),
    fault: fc.oneof(
      fc.constantFrom<CallFault>({ kind: 'refuse' }, { kind: 'swallow' }),
      fc.record({ kind: fc.constantFrom('late' as const, 'slow' as const, 'ghost' as const), ms: delayMs }),
    ),
  }),
  fc.record({
    do: fc.constant('push' as const),
    node,
    fault: fc.oneof(
      fc.constantFrom<PushFault>({ kind: 'drop' }, { kind: 'repeat' }, { kind: 'wake', head: true }),
      fc.record({ kind: fc.constant('delay' as const), ms: delayMs }),
    ),
  }),
  fc.record({ do: fc.constant('advance' as const), ms: fc.constantFrom(3_100, 9_500, 12_000) }),
);

async function lifeCycle(steps: readonly Step[], seed: number, latencyMs: number): Promise<void> {
  await World.run({ seed, latencyMs }, async (world) => {
    const life = new LifeCycleWorld(world, NODES, CLIENTS);
    for (const step of steps) await life.carryOut(step);

    // Once all is well again every client has its stream, and has got everything.
    await life.heal();
    await world.time.advance(15_000);
    for (const [index, { newest }] of life.clients.entries()) {
      if (newest?.isOpen && newest.node.state === 'up') continue;
      await life.carryOut({ do: 'open', client: index, at: index, how: 'take over' });
    }
    await world.time.advance(15_000);
    await life.carryOut({ do: 'send', by: 0, to: undefined, count: 2 });
    await world.time.advance(5_000);
    expect(world.spinning).toBeUndefined();
    for (const each of life.clients) each.check();
    for (const { session } of life.clients) {
      for (const each of life.up) expect(await world.time.until(has(each, session))).toBe(true);
    }
    checkMessages(world);

    // Once all is over nothing is left.
    for (const [index] of life.clients.entries()) {
      await life.carryOut(index % 2 === 0 ? { do: 'cancel', client: index } : { do: 'end', client: index, at: index });
    }
    await world.time.advance(2_000);
    for (const { session } of life.clients) {
      for (const each of life.up) expect(await world.time.until(has(each, session))).toBe(false);
    }
    expect([...world.log.claims.values()].filter(({ detach }) => detach === undefined)).toEqual([]);
    await life.close();
    await world.time.advance(60_000);
    for (const each of world.nodes) {
      if (each.state === 'crashed') continue;
      expect(each.manager.stats(), each.name).toMatchObject({ attached: 0, backlogBytes: 0, state: 'closed' });
    }
    expect([...world.pending]).toEqual([]);
    expect(world.time.pending()).toBe(0);
  });
}

function has(node: TestNode, session: string): Promise<boolean> {
  return node.run('has', () => node.manager.has(session));
}

/** Accepted is stored once, refused at most once; what one process sends is stored in the order of its calls. */
function checkMessages(world: World): void {
  for (const sender of world.nodes) {
    let last = 0;
    for (const message of world.messages.filter(({ node }) => node === sender)) {
      const stored = world.history.filter(({ text }) => text?.startsWith(`data: ${message.number} `));
      if (message.outcome === 'accepted') expect(stored.length).toBe(1);
      expect(stored.length).toBeLessThanOrEqual(1);
      const position = stored[0]?.position ?? last;
      expect(position).toBeGreaterThanOrEqual(last);
      last = position;
    }
  }
}

const seed = fc.noShrink(fc.nat());
const latencyMs = fc.constantFrom(0, 2, 10);

describe('the life cycle of sessions', () => {
  it('properties/life-cycle-moves: however clients open, take over, resume, cancel and end, each gets everything once and in order', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof({ weight: 8, arbitrary: coming }, { weight: 1, arbitrary: reading }), {
          maxLength: 50,
          size: 'max',
        }),
        seed,
        latencyMs,
        lifeCycle,
      ),
      { numRuns: 250 },
    );
  });

  it('properties/life-cycle-trouble: so it does while processes crash, stand still, close and lose their connections; only what promise 1 allows comes twice', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof({ weight: 3, arbitrary: coming }, { weight: 1, arbitrary: trouble }), {
          maxLength: 60,
          size: 'max',
        }),
        seed,
        latencyMs,
        lifeCycle,
      ),
      { numRuns: 250 },
    );
  });
});
