import type { Batch } from '@tmcp/session-manager';
import { type KitRedis, kitRedis, redisOnce, waitFor } from 'test-support';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { logKeys } from '../src/keys.ts';
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

const headOf = async ({ backplane, node }: OpenBackplane): Promise<number> =>
  (await backplane.beat({ node, cursor: 0, check: 0 })).head;

describe('append', () => {
  it('append/contiguous: several producers get positions without holes, in the order that everybody reads', async () => {
    const namespace = unique('ns');
    const nodes = await Promise.all([1, 2, 3].map(() => open(namespace)));
    const producers = nodes.flatMap((node) => [new Producer(node), new Producer(node)]);
    const answers = await Promise.all(
      producers.map(async (producer) => {
        const lasts: number[] = [];
        for (let i = 0; i < 20; i += 1) {
          lasts.push((await producer.append([frame('a', `${producer.id} ${i}`), frame('b', 'x')])).last);
        }
        return lasts;
      }),
    );
    expect(answers.flat().sort((a, b) => a - b)).toEqual(Array.from({ length: 120 }, (_, i) => (i + 1) * 2));
    for (const { heard } of nodes) {
      await waitFor(() => heard.parts.length === 240);
      expect(heard.parts.map(({ last }) => last)).toEqual(Array.from({ length: 240 }, (_, i) => i + 1));
    }
    const [first] = nodes;
    expect((await first?.backplane.read(0))?.parts).toEqual(first?.heard.parts);
  });

  it('append/own-at-once: what a node has written itself it need not read: it is heard with the answer, once', async () => {
    const [node, other] = [await open('own-at-once'), await open('own-at-once')];
    const producer = new Producer(node);
    for (let i = 0; i < 50; i += 1) {
      const { last } = await producer.append([frame('a', `own ${i}`), frame('b', 'x')]);
      expect(node.heard.parts.at(-1)?.last).toBe(last);
    }
    const { last } = await new Producer(other).append([frame('a', 'of another')]);
    await waitFor(() => node.heard.parts.at(-1)?.last === last);
    // Not what comes behind something that it has not heard.
    await Promise.all([producer, new Producer(other)].map((each) => each.append([frame('a', 'at the same time')])));
    await waitFor(() => node.heard.parts.at(-1)?.last === last + 2);
    expect(node.heard.parts).toEqual((await node.backplane.read(0)).parts);
  });

  it('append/retry-same-answer: a batch that comes again is not stored again and gets its first answer, claims included', async () => {
    const node = await open();
    const producer = new Producer(node);
    const claim = { kind: 'claim', offset: 1, session: 'a', claim: 'c1' } as const;
    const batch = await producer.batch([part('[{"k":"c","s":"a"}]', '')], [claim]);
    const first = await node.backplane.append(batch);
    await new Producer(node).control({ kind: 'claim', session: 'a', claim: 'c2' });
    expect(await node.backplane.append(batch)).toEqual(first);
    expect(first).toMatchObject({ claims: [{ session: 'a', claim: 'c1', at: 1, floor: 1, previous: undefined }] });
    expect(await headOf(node)).toBe(2);
    // An answer is that of the last batch: one without claims has none.
    const next: Batch = { ...batch, number: 2, acknowledged: 1, parts: [frame('a', 'x')], controls: [] };
    expect(await node.backplane.append(next)).toMatchObject({ last: 3, claims: [] });
    expect(await node.backplane.append(next)).toMatchObject({ last: 3, claims: [] });
  });

  it('append/retry-concurrent: the same batch eight times at once is stored once', async () => {
    const namespace = unique('ns');
    const [node, other] = await Promise.all([open(namespace), open(namespace)]);
    const batch = await new Producer(node).batch([frame('a', 'once')]);
    const answers = await Promise.all(
      Array.from({ length: 8 }, (_, i) => (i % 2 ? node : other).backplane.append(batch)),
    );
    for (const answer of answers) expect(answer).toMatchObject({ state: 'stored', last: 1 });
    expect((await node.backplane.read(0)).parts).toHaveLength(1);
  });

  it('append/lower-number: a number below the last one stores nothing', async () => {
    const node = await open();
    const producer = new Producer(node);
    await producer.append([frame('a', '1')], [], { number: 5 });
    const late = await producer.batch([frame('a', '2')], [], { number: 4 });
    await expect(node.backplane.append(late)).rejects.toMatchObject({ name: 'SessionError', code: 'refused' });
    expect((await node.backplane.read(0)).parts).toHaveLength(1);
  });

  it('append/gap: a store that forgot an acknowledged batch says so, at the retry as well', async () => {
    const node = await open();
    const batch = await new Producer(node).batch([frame('a', '1')], [], { number: 7, acknowledged: 6 });
    expect(await node.backplane.append(batch)).toMatchObject({ gap: true, last: 1 });
    expect(await node.backplane.append(batch)).toMatchObject({ gap: true, last: 1 });
    const next: Batch = { ...batch, number: 8, acknowledged: 7 };
    expect(await node.backplane.append(next)).toMatchObject({ gap: false, last: 2 });
  });

  it('append/epoch: a batch for another epoch is refused and stores nothing', async () => {
    const node = await open();
    const batch = await new Producer(node).batch([frame('a', '1')]);
    await node.backplane.renewEpoch('not the current one');
    expect(await node.backplane.append(batch)).toMatchObject({ state: 'stored' });
    await new Producer(node).control({ kind: 'claim', session: 'a', claim: 'c1' });
    await node.backplane.renewEpoch(batch.epoch);
    expect(await node.backplane.append({ ...batch, number: 2 })).toEqual({ state: 'epoch' });
    const { epoch, head } = await node.backplane.beat({ node: node.node, cursor: 0, check: 0 });
    expect(epoch).toMatch(/^[a-z0-9]{1,32}$/);
    expect(epoch).not.toBe(batch.epoch);
    expect(head).toBe(2);
    expect(await node.backplane.locate('a')).toBeUndefined();
  });

  it.each([1, 65_536, 262_144])('append/part-%i-bytes: a part arrives whole, whatever it is made of', async (bytes) => {
    const node = await open();
    const producer = new Producer(node);
    for (const letter of ['x', 'é', '語', '😀', '\n', '"', '\0', '\u2028']) {
      const wide = Buffer.byteLength(letter);
      const data = letter.repeat(Math.floor(bytes / wide)) + '.'.repeat(bytes % wide);
      const { last } = await producer.append([part('[["a",0]]', data)]);
      await waitFor(() => node.heard.parts.at(-1)?.last === last);
      const [stored] = (await node.backplane.read(last - 1)).parts;
      expect(stored).toMatchObject({ last, count: 1, head: '[["a",0]]' });
      expect(stored?.data === data).toBe(true);
      expect(node.heard.parts.at(-1)).toEqual(stored);
    }
  });

  it.each([2 ** 40, 1e14 - 3, 2 ** 53 - 12])(
    'append/position-%i: positions are exact wherever they are written or compared',
    async (start) => {
      const namespace = unique('ns');
      const node = await open(namespace);
      await headOf(node);
      await redisOnce(redis.url, [
        'HSET',
        logKeys(keyPrefix, namespace).head,
        'pos',
        String(start),
        'trimmed',
        String(start),
      ]);
      const producer = new Producer(node);
      const first = await producer.append([frame('a', 'x'), frame('a', 'y')], [claimOf('a', 'c1')]);
      expect(first).toMatchObject({ last: start + 2, claims: [{ at: start + 1, floor: start + 1 }] });
      await waitFor(() => node.heard.parts.length === 2);
      expect(node.heard.parts.map(({ last }) => last)).toEqual([start + 1, start + 2]);
      const { node: id, backplane } = node;
      expect(await backplane.beat({ node: id, cursor: start + 1, check: start + 2 })).toMatchObject({
        head: start + 2,
        token: `${producer.id}:1:2`,
      });
      await producer.control({ kind: 'release', session: 'a', claim: 'c1', detach: start + 2, sent: start + 1 });
      const next = await producer.control({ kind: 'claim', session: 'a', claim: 'c2' });
      expect(next.claims[0]).toMatchObject({ at: start + 4, floor: start + 1, previous: { detach: start + 2 } });
      expect((await backplane.read(start + 2)).parts.map(({ last }) => last)).toEqual([start + 3, start + 4]);
      await backplane.beat({ node: id, cursor: start + 3, check: start + 3 });
      const answer = await backplane.maintain({ ...EVERYTHING, keepMs: -1 });
      expect(answer.overtaken).toBe(0);
      expect((await backplane.read(0)).trimmed).toBe(start + 2);
    },
  );

  it('append/many: a batch of 500 parts and 500 claims is one script', async () => {
    const node = await open();
    const ids = Array.from({ length: 500 }, (_, i) => `session-${i}`);
    const parts = ids.map((id) => frame(id, id));
    const controls = ids.map((id, i) => ({ ...claimOf(id, `claim-${i}`), offset: i + 1 }));
    const { last, claims } = await new Producer(node).append(parts, controls);
    expect([last, claims.length, claims.at(-1)?.at]).toEqual([500, 500, 500]);
    await waitFor(() => node.heard.parts.length === 500);
  });
});

const claimOf = (session: string, claim: string) => ({ kind: 'claim', offset: 1, session, claim }) as const;

const EVERYTHING = {
  node: 'me',
  get asOf() {
    return Date.now() + 500;
  },
  sessionTimeoutMs: 10_000,
  forgetReleasedMs: 60_000,
  keepMs: 0,
  maxLogBytes: 1_000_000_000,
  producerIdleMs: 100_000,
  remove: [],
};
