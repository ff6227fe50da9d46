import { expect } from 'vitest';
import { frame, frameOfSize } from './messages.ts';
import type { OpenStreamsOptions, StreamCase, StreamCases, TestedStreamSessionManager } from './stream-backend.ts';
import type { TestClient } from './test-client.ts';
import { pause } from './until.ts';

const CLIENTS = 12;
const SENDERS = 6;
const DURATION_MS = 1_200;
const IN_FLIGHT = 8;

/** Small, seeded and good enough to choose with (mulberry32). */
function randomNumbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

/**
 * Clients that move between nodes in every way there is, under senders on every node. One witness gets every message
 * and never moves: what it received is the log, and what every other client received must be its share of that.
 */
export const streamStormCases: StreamCases = {
  'streams/storm: whatever moves at the same time, nothing is lost, repeated or out of order': async (test) => {
    await seeded((random) => storm(test, random, {}));
  },

  'streams/storm-slow: nor where streams are cut off because they are not read in time': async (test) => {
    await seeded((random) => storm(test, random, { maxStreamBufferBytes: 10_000 }));
    expect(test.takeReports().filter((code) => code !== 'slow-reader')).toEqual([]);
  },
};

async function seeded(run: (random: (below: number) => number) => Promise<void>): Promise<void> {
  const seed = Math.floor(Math.random() * 2 ** 32);
  try {
    await run(randomNumbers(seed));
  } catch (error) {
    throw new Error(`the storm of seed ${seed} failed: ${error instanceof Error ? error.message : error}`, {
      cause: error,
    });
  }
}

async function storm(
  { open, client }: StreamCase,
  random: (below: number) => number,
  options: OpenStreamsOptions,
): Promise<void> {
  const a = open(options);
  const nodes = [a, open(options), open({ ...options, heartbeatMs: 200 })];
  const node = (): TestedStreamSessionManager => nodes[random(nodes.length)] ?? a;
  const witness = client('witness');
  const clients = Array.from({ length: CLIENTS }, () => client());
  await Promise.all(clients.map((each) => each.connect(node())));
  // The witness reads as fast as it can, and is never taken for slow.
  await witness.connect(open({ maxStreamBufferBytes: 2 ** 30 }));

  const until = performance.now() + DURATION_MS;
  const receivers = new Map<string, ReadonlySet<string> | undefined>();
  const sender = async (name: number): Promise<void> => {
    const manager = nodes[name % nodes.length] ?? a;
    const inFlight = new Set<Promise<void>>();
    for (let count = 1; performance.now() < until; count += 1) {
      const label = `${name}/${count}`;
      const size = random(30);
      const few = clients.filter(() => random(CLIENTS) < (size % 3) + 1).map(({ session }) => session);
      const to = random(5) === 0 ? undefined : [...few, witness.session];
      receivers.set(label, to && new Set(to));
      const text = size === 0 ? frameOfSize(label, 66_000 + random(100_000)) : frame(label, 'é'.repeat(size * 20));
      const sent = manager.publish(to, text).finally(() => inFlight.delete(sent));
      inFlight.add(sent);
      if (inFlight.size >= IN_FLIGHT) await Promise.race(inFlight);
      if (random(4) === 0) await pause(random(12));
    }
    await Promise.all(inFlight);
  };
  const mover = async (each: TestClient): Promise<void> => {
    while (performance.now() < until) {
      await pause(random(150));
      await move(each, node(), random(7));
    }
    if (each.stream.state !== 'open') await each.connect(node());
  };
  await Promise.all([...Array.from({ length: SENDERS }, (_, name) => sender(name)), ...clients.map(mover)]);

  await witness.drain(a);
  const log = witness.labels;
  expect(log.toSorted()).toEqual([...receivers.keys()].toSorted());
  for (let name = 0; name < SENDERS; name += 1) {
    const own = log.filter((label) => label.startsWith(`${name}/`));
    expect(own).toEqual(own.map((_, index) => `${name}/${index + 1}`));
  }
  for (const each of clients) {
    await drain(each, a);
    const share = log.filter((label) => receivers.get(label)?.has(each.session) ?? true);
    expect(each.labels, `${each.session} over ${each.streams.length} streams`).toEqual(share);
  }
}

/** A stream that was cut off is opened again, until one has received everything. */
async function drain(client: TestClient, manager: TestedStreamSessionManager): Promise<void> {
  const drained = client.drain(manager);
  let isDrained = false;
  void drained.finally(() => (isDrained = true)).catch(() => undefined);
  while (!isDrained) {
    if (client.stream.state !== 'open') await client.connect(manager);
    await pause(5);
  }
  await drained;
}

async function move(client: TestClient, manager: TestedStreamSessionManager, how: number): Promise<void> {
  const { stream } = client;
  if (how === 0) {
    await client.connect(manager);
  } else if (how === 1) {
    await client.connect(manager, { resume: true });
  } else if (how === 2) {
    await stream.cancel();
    await client.connect(manager, { resume: true });
  } else if (how === 3) {
    stream.abandon();
    await pause(20);
    await client.connect(manager, { resume: true });
  } else if (how === 4) {
    // What stays unread belongs to the next stream.
    stream.pause();
    await client.connect(manager);
  } else if (how === 5) {
    // Long enough to be cut off, where the limit is low.
    stream.pause();
    await pause(100);
    await client.connect(manager);
  } else {
    // Two at once on one node: their order is known.
    client.open(manager);
    await client.connect(manager);
  }
}
