import { setTimeout as sleep } from 'node:timers/promises';
import { LOST, type MaintenanceRequest } from '@tmcp/session-manager';
import { type KitRedis, kitRedis, redisOnce } from 'test-support';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type LogKeys, logKeys } from '../src/keys.ts';
import { closeAfterEach, frame, type OpenBackplane, openBackplane, Producer, part, unique } from './harness.ts';

let redis: KitRedis;
let keyPrefix: string;
beforeAll(async () => {
  redis = await kitRedis();
  keyPrefix = redis.createPrefix();
});
afterAll(() => redis.stop());
closeAfterEach();

const open = (namespace = unique('ns')): Promise<OpenBackplane> =>
  openBackplane({ url: redis.url, keyPrefix }, { namespace });

const command = (name: string, ...values: (string | number)[]): Promise<unknown> =>
  redisOnce(redis.url, [name, ...values]);

const keysOf = (namespace: string): LogKeys => logKeys(keyPrefix, namespace);

const maintain = ({ backplane }: OpenBackplane, change: Partial<MaintenanceRequest> = {}) =>
  backplane.maintain({
    node: 'me',
    asOf: Date.now() + 500,
    sessionTimeoutMs: 10_000,
    forgetReleasedMs: 60_000,
    keepMs: 120_000,
    maxLogBytes: 1_000_000_000,
    producerIdleMs: 100_000,
    remove: [],
    ...change,
  });

/** So that what was written a moment ago counts as too old. */
const AT_ONCE = { keepMs: -1 };

async function fill(node: OpenBackplane, count: number, bytes = 10): Promise<number> {
  const producer = new Producer(node);
  let last = 0;
  for (let i = 0; i < count; i += 1) last = (await producer.append([frame('a', 'x'.repeat(bytes))])).last;
  return last;
}

const positions = async (node: OpenBackplane): Promise<number[]> =>
  (await node.backplane.read(0)).parts.map(({ last }) => last);

/** Registers the node first, if it is not known. */
async function beat({ backplane, node }: OpenBackplane, cursor: number, name = node) {
  const answer = await backplane.beat({ node: name, cursor, check: cursor });
  if (!answer.unknown) return answer;
  await backplane.beat({ node: name, cursor: undefined, check: undefined });
  return { ...(await backplane.beat({ node: name, cursor, check: cursor })), unknown: true };
}

describe('trimming by age', () => {
  it('trim/young: keeps what is younger than it has to be kept', async () => {
    const node = await open();
    await beat(node, await fill(node, 5));
    await maintain(node);
    expect(await positions(node)).toEqual([1, 2, 3, 4, 5]);
    expect((await node.backplane.read(0)).trimmed).toBe(0);
  });

  it('trim/cursor: keeps the part at the lowest cursor, and says how far it went', async () => {
    const node = await open();
    await fill(node, 6);
    await beat(node, 6);
    await beat(node, 3, 'slow');
    expect(await maintain(node, AT_ONCE)).toMatchObject({ overtaken: 0 });
    expect(await positions(node)).toEqual([3, 4, 5, 6]);
    expect(await beat(node, 6)).toMatchObject({ trimmed: 2, head: 6 });
    expect((await node.backplane.read(0)).trimmed).toBe(2);
    expect((await node.backplane.search('a', 0, 100)).trimmed).toBe(2);
    expect((await beat(node, 3, 'slow')).token).toMatch(/:3:1$/);
  });

  it('trim/as-of: a run that was sent before an outage drops nothing that grew old in it', async () => {
    const node = await open();
    await fill(node, 2);
    const { time } = await beat(node, 2);
    await fill(node, 2);
    await beat(node, 4);
    // It is carried out only now, as by a server that was frozen when it came.
    await sleep(20);
    await maintain(node, { ...AT_ONCE, asOf: time });
    expect((await positions(node)).slice(-2)).toEqual([3, 4]);
    expect((await node.backplane.read(0)).trimmed).toBeLessThanOrEqual(2);
    await maintain(node, { ...AT_ONCE });
    expect(await positions(node)).toEqual([4]);
  });

  it('trim/last-part: the newest part stays, whatever its age', async () => {
    const node = await open();
    await beat(node, await fill(node, 3));
    await maintain(node, AT_ONCE);
    expect(await positions(node)).toEqual([3]);
    await node.backplane.leave(node.node);
    await maintain(node, AT_ONCE);
    expect(await positions(node)).toEqual([3]);
  });

  it('trim/age: goes by the time at which the head was seen, and keeps no more than that needs', async () => {
    const namespace = unique('ns');
    const node = await open(namespace);
    const { times } = keysOf(namespace);
    for (const minute of [9, 5, 1]) {
      await beat(node, await fill(node, 2));
      await maintain(node);
      const head = String((await beat(node, 0, 'look')).head);
      await node.backplane.leave('look');
      await command('ZADD', times, Date.now() - minute * 60_000, head);
    }
    await maintain(node, { keepMs: 4 * 60_000 });
    expect(await positions(node)).toEqual([5, 6]);
    // The older sight told less than the newer one.
    expect(await command('ZRANGE', times, 0, -1)).toEqual(['4', '6']);
  });
});

describe('trimming by size', () => {
  it('trim/size: goes past cursors, counts whom it overtook once, and keeps the newest part', async () => {
    const node = await open();
    await beat(node, 0);
    await beat(node, 2, 'stopped');
    await maintain(node, { maxLogBytes: 16_000 });
    await beat(node, await fill(node, 40, 1_000));
    const left = await positions(node);
    // One sixteenth more or less: about a part here.
    expect(left.length).toBeGreaterThanOrEqual(14);
    expect(left.length).toBeLessThanOrEqual(16);
    expect(left.at(-1)).toBe(40);
    expect(await maintain(node, { maxLogBytes: 16_000 })).toMatchObject({ overtaken: 1 });
    expect(await maintain(node, { maxLogBytes: 16_000 })).toMatchObject({ overtaken: 0 });
    expect((await beat(node, 40)).trimmed).toBe((left[0] ?? 0) - 1);
  });

  it('trim/size-one-part: a part that is larger than the limit is kept until there is another one', async () => {
    const node = await open();
    await beat(node, 0);
    await maintain(node, { maxLogBytes: 1_000 });
    await fill(node, 3, 5_000);
    expect(await positions(node)).toEqual([3]);
  });

  it('trim/size-after-age: what went for its age counts no more for the size', async () => {
    const node = await open();
    await beat(node, 0);
    await maintain(node, { maxLogBytes: 16_000 });
    for (let round = 0; round < 4; round += 1) {
      // More than half of the limit, in parts that are smaller than its sixteenths.
      const head = await fill(node, 90, 100);
      expect((await positions(node)).slice(-90)).toEqual(Array.from({ length: 90 }, (_, i) => head - 89 + i));
      await beat(node, head);
      await maintain(node, { ...AT_ONCE, maxLogBytes: 16_000 });
      expect(await positions(node)).toEqual([head]);
    }
  });

  it('trim/size-idle: a log that grew before it had a limit is trimmed although nobody writes any more', async () => {
    const node = await open();
    await beat(node, await fill(node, 300, 1_000));
    for (let run = 0; run < 3; run += 1) await maintain(node, { maxLogBytes: 20_500 });
    expect(await positions(node)).toEqual(Array.from({ length: 20 }, (_, i) => 281 + i));
    await fill(node, 30, 1_000);
    expect((await positions(node)).length).toBeLessThanOrEqual(21);
  });

  it('trim/size-lowered: a lower limit holds from the next part of the log on', async () => {
    const node = await open();
    await beat(node, 0);
    await maintain(node, { maxLogBytes: 1_000_000 });
    await fill(node, 500, 1_000);
    await maintain(node, { maxLogBytes: 32_000 });
    await fill(node, 40, 1_000);
    expect((await positions(node)).length).toBeLessThanOrEqual(33);
  });
});

describe('cleaning up', () => {
  it('clean/large: large payloads have the age and the bound of the log, oldest first, and the newest stays', async () => {
    const namespace = unique('ns');
    const node = await open(namespace);
    await beat(node, 0);
    const { largeTimes } = keysOf(namespace);
    for (const [i, id] of ['a', 'b', 'c', 'd'].entries()) {
      await node.backplane.putLarge(id, 'x'.repeat(100_000));
      await command('ZADD', largeTimes, Date.now() - (9 - i) * 60_000, `${id} 100000`);
    }
    const left = async (): Promise<string[]> => {
      const payloads = await Promise.all(['a', 'b', 'c', 'd'].map((id) => node.backplane.getLarge(id)));
      return ['a', 'b', 'c', 'd'].filter((_, i) => payloads[i] !== undefined);
    };
    const keepMs = 3_600_000;
    await maintain(node, { keepMs, maxLogBytes: 400_000 });
    expect(await left()).toEqual(['a', 'b', 'c', 'd']);
    await maintain(node, { keepMs, maxLogBytes: 250_000 });
    expect(await left()).toEqual(['c', 'd']);
    await maintain(node, { keepMs, maxLogBytes: 1 });
    expect(await left()).toEqual(['d']);
    await maintain(node, { keepMs: 1_000 });
    expect(await left()).toEqual([]);
  });

  it('clean/silent: reports nodes without a fresh beat, and gives them up with what was theirs unless they beat again', async () => {
    const namespace = unique('ns');
    const node = await open(namespace);
    const producers = [new Producer(node), new Producer(node)];
    for (const [i, name] of ['gone', 'back'].entries()) {
      await beat(node, 0, name);
      const batch = await producers[i]?.batch([frame('a', 'x')], [claimOf(name)]);
      if (batch) await node.backplane.append({ ...batch, node: name });
    }
    expect((await maintain(node)).silent).toEqual([]);
    const silent = (await maintain(node, { sessionTimeoutMs: -1 })).silent.filter(({ node: id }) => id !== node.node);
    expect(silent.map((entry) => entry.node).sort()).toEqual(['back', 'gone']);
    await beat(node, 0, 'back');
    await maintain(node, { remove: silent, producerIdleMs: -1 });
    expect((await node.backplane.inspect('gone')).cursor).toBeUndefined();
    expect((await node.backplane.inspect('back')).cursor).toBe(0);
    expect(await node.backplane.locate('gone')).toBeUndefined();
    expect(await node.backplane.locate('back', 10_000)).toBe('attached');
    expect(await command('HKEYS', keysOf(namespace).producers)).toEqual([producers[1]?.id]);
    expect(await beat(node, 0, 'gone')).toMatchObject({ unknown: true });
    const { claims } = await new Producer(node).control({ kind: 'claim', session: 'gone', claim: 'next' });
    expect(claims[0]).toMatchObject({ previous: { detach: LOST, sent: LOST } });
    expect(claims[0]?.floor).toBe(claims[0]?.at);
  });

  it('clean/silent-many: claims of a node that was given up are lost at once, also those that no sweep has reached, and stay so when it comes back', async () => {
    const namespace = unique('ns');
    const node = await open(namespace);
    await beat(node, 0, 'gone');
    const ids = Array.from({ length: 5_000 }, (_, i) => `session-${i}`);
    const producer = new Producer(node);
    for (let from = 0; from < ids.length; from += 500) {
      const controls = ids.slice(from, from + 500).map((id, i) => ({ ...claimOf(id), offset: i + 1 }));
      const batch = await producer.batch([part('[]', '', 500)], controls);
      await node.backplane.append({ ...batch, node: 'gone' });
    }
    const { silent } = await maintain(node, { sessionTimeoutMs: -1 });
    await maintain(node, { remove: silent.filter((entry) => entry.node === 'gone') });
    const held = async (): Promise<string[]> => {
      const found = await Promise.all(ids.map((id) => node.backplane.locate(id)));
      return ids.filter((_, i) => found[i] !== undefined);
    };
    expect(await held()).toEqual([]);
    // The log has not grown since its last claim.
    expect(await beat(node, 5_000, 'gone')).toMatchObject({ unknown: true });
    expect(await held()).toEqual([]);
    for (let i = 0; i < 3; i += 1) await maintain(node);
    expect(await held()).toEqual([]);
    expect(await command('HLEN', keysOf(namespace).claims)).toBeGreaterThanOrEqual(ids.length);
  });

  it('clean/gone-row: a node that was given up is forgotten once its claims are written down as lost', async () => {
    const namespace = unique('ns');
    const node = await open(namespace);
    await beat(node, 0, 'gone');
    await new Producer(node).append([frame('a', 'x')], [claimOf('a')], { node: 'gone' });
    const { silent } = await maintain(node, { sessionTimeoutMs: -1 });
    await maintain(node, { remove: silent.filter((entry) => entry.node === 'gone') });
    for (let i = 0; i < 4; i += 1) await maintain(node);
    expect(await command('HKEYS', keysOf(namespace).nodes)).toEqual([node.node]);
    const { claims } = await new Producer(node).control({ kind: 'claim', session: 'a', claim: 'next' });
    expect(claims[0]?.previous).toMatchObject({ node: 'gone', detach: LOST });
  });

  it('clean/left: claims of nodes that left are released where their streams had to start, and then forgotten', async () => {
    const namespace = unique('ns');
    const node = await open(namespace);
    await beat(node, 0, 'left');
    await new Producer(node).append([frame('a', 'x')], [claimOf('a')], { node: 'left' });
    await node.backplane.leave('left');
    expect(await node.backplane.locate('a')).toBeUndefined();
    await maintain(node);
    const { claims } = await new Producer(node).control({ kind: 'claim', session: 'a', claim: 'next' });
    expect(claims[0]?.previous).toMatchObject({ claim: 'claim of a', detach: 1, sent: 1 });
  });

  it('clean/claims: released claims go after their time, held ones stay', async () => {
    const node = await open();
    const producer = new Producer(node);
    for (const session of ['held', 'released']) await producer.control({ kind: 'claim', session, claim: session });
    await producer.control({ kind: 'release', session: 'released', claim: 'released', detach: 2, sent: 2 });
    await maintain(node);
    const claim = async (session: string) =>
      (await producer.control({ kind: 'claim', session, claim: unique('c') })).claims[0]?.previous?.claim;
    expect(await claim('released')).toBe('released');
    await producer.control({ kind: 'end', session: 'released' });
    await producer.control({ kind: 'claim', session: 'released', claim: 'again' });
    await producer.control({ kind: 'release', session: 'released', claim: 'again', detach: 2, sent: 2 });
    await maintain(node, { forgetReleasedMs: -1 });
    expect(await claim('released')).toBeUndefined();
    expect(await claim('held')).toBe('held');
  });

  it('clean/producers: idle producers go once their node is not known any more', async () => {
    const namespace = unique('ns');
    const node = await open(namespace);
    const producer = new Producer(node);
    await producer.control({ kind: 'claim', session: 'a', claim: 'c' });
    const { producers, answers } = keysOf(namespace);
    const known = async () => [await command('HKEYS', producers), await command('HKEYS', answers)];
    await maintain(node, { producerIdleMs: -1 });
    expect(await known()).toEqual([[producer.id], [producer.id]]);
    await node.backplane.leave(node.node);
    await maintain(node);
    expect(await known()).toEqual([[producer.id], [producer.id]]);
    await maintain(node, { producerIdleMs: -1 });
    expect(await known()).toEqual([[], []]);
  });
});

function claimOf(session: string) {
  return { kind: 'claim', offset: 1, session, claim: `claim of ${session}` } as const;
}
