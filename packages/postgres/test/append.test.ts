import type { Batch } from '@tmcp/session-manager';
import { type KitPostgres, kitPostgres, queryOnce, waitFor } from 'test-support';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { closeAfterEach, frame, type OpenBackplane, openBackplane, Producer, part, unique } from './harness.ts';

let postgres: KitPostgres;
beforeAll(async () => {
  postgres = await kitPostgres();
});
afterAll(() => postgres.stop());
closeAfterEach();

const open = (settings = {}): Promise<OpenBackplane> =>
  openBackplane({ connectionString: postgres.url }, { namespace: unique('ns'), ...settings });

describe('append', () => {
  it('append/contiguous: several producers get positions without holes, in the order that everybody reads', async () => {
    const namespace = unique('ns');
    const nodes = await Promise.all([1, 2, 3].map(() => open({ namespace })));
    const answers = await Promise.all(
      nodes
        .flatMap((node) => [new Producer(node), new Producer(node)])
        .map(async (producer) => {
          const lasts: number[] = [];
          for (let i = 0; i < 20; i += 1) {
            const answer = await producer.append([frame('a', `${producer.id} ${i}`), frame('b', 'x')]);
            lasts.push(answer.last);
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

  it('append/retry-same-answer: a batch that comes again is not stored again and gets its first answer, claims included', async () => {
    const node = await open();
    const producer = new Producer(node);
    const claim = { kind: 'claim', offset: 1, session: 'a', claim: 'c1' } as const;
    const batch = await producer.batch([part('[{"k":"c","s":"a"}]', '')], [claim]);
    const first = await node.backplane.append(batch);
    const other = new Producer(node);
    await other.control({ kind: 'claim', session: 'a', claim: 'c2' });
    expect(await node.backplane.append(batch)).toEqual(first);
    expect(first).toMatchObject({ claims: [{ session: 'a', claim: 'c1', at: 1, floor: 1, previous: undefined }] });
    expect((await node.backplane.beat({ node: node.node, cursor: 0, check: 0 })).head).toBe(2);
  });

  it('append/retry-concurrent: the same batch on two connections at once is stored once', async () => {
    const node = await open();
    const batch = await new Producer(node).batch([frame('a', 'once')]);
    const answers = await Promise.all(Array.from({ length: 8 }, () => node.backplane.append(batch)));
    for (const answer of answers) expect(answer).toMatchObject({ state: 'stored', last: 1 });
    expect((await node.backplane.read(0)).parts).toHaveLength(1);
  });

  it('append/lower-number: a number below the last one is an error, and stores nothing', async () => {
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
    expect(epoch).toMatch(/^[a-z0-9]{8,10}$/);
    expect(epoch).not.toBe(batch.epoch);
    expect(head).toBe(2);
    expect(await node.backplane.locate('a')).toBeUndefined();
  });

  it.each([7_799, 7_800, 7_801, 65_536])(
    'append/part-%i-bytes: a part arrives whole, inline or by way of the log',
    async (bytes) => {
      const node = await open();
      const head = '[["a",0]]';
      for (const letter of ['x', 'é', '語', '😀']) {
        const room = bytes - head.length;
        const wide = Buffer.byteLength(letter);
        const data = letter.repeat(Math.floor(room / wide)) + '.'.repeat(room % wide);
        const draft = part(head, data);
        expect(draft.bytes).toBe(bytes);
        const { last } = await new Producer(node).append([draft]);
        const { heard, backplane } = node;
        await waitFor(() => heard.parts.at(-1)?.last === last || heard.wakes.includes(last));
        expect(heard.wakes.includes(last)).toBe(bytes > 7_999);
        const [stored] = (await backplane.read(last - 1)).parts;
        expect(stored).toMatchObject({ last, count: 1, head, data });
        if (bytes <= 7_999) expect(heard.parts.at(-1)).toEqual(stored);
      }
    },
  );

  it('append/notification-limit: notifications of 7,999 bytes travel, longer ones are announced', async () => {
    const node = await open();
    const producer = new Producer(node);
    const batch = await producer.batch([part('[]', '')]);
    for (const over of [0, 1]) {
      const number = over + 1;
      const prefix = `${batch.epoch}|${number}|1|${producer.id}:${number}:1|[]\n`;
      const data =
        'é'.repeat((7_999 - prefix.length - 1) / 2) + 'x'.repeat(((7_999 - prefix.length - 1) % 2) + 1 + over);
      const even = data.length + (Buffer.byteLength(prefix + data) - 7_999 - over);
      expect(even).toBe(data.length);
      await node.backplane.append({ ...batch, number, acknowledged: over, parts: [part('[]', data)] });
      await waitFor(() => node.heard.parts.length + node.heard.wakes.length === number);
    }
    expect([node.heard.parts.length, node.heard.wakes]).toEqual([1, [2]]);
  });

  it('append/not-storable: what PostgreSQL cannot store is refused for good, and the number is free again', async () => {
    const node = await open();
    const batch = await new Producer(node).batch([frame('a', 'NUL \0')]);
    await expect(node.backplane.append(batch)).rejects.toMatchObject({ code: 'invalid-message' });
    await expect(node.backplane.putLarge('large', '\0')).rejects.toMatchObject({ code: 'invalid-message' });
    expect(await node.backplane.append({ ...batch, parts: [frame('a', 'good')] })).toMatchObject({ last: 1 });
  });

  it('append/equal-messages: equal messages in one batch are all heard', async () => {
    const node = await open();
    await new Producer(node).append([frame('a', 'same'), frame('a', 'same'), frame('a', 'same')]);
    await waitFor(() => node.heard.parts.length === 3);
  });

  it.each(['repeatable read', 'serializable'])(
    'append/isolation: concurrent producers work where the default is %s',
    async (level) => {
      const url = await postgres.createDatabase();
      await queryOnce(
        url,
        `alter database "${new URL(url).pathname.slice(1)}" set default_transaction_isolation = '${level}'`,
      );
      const namespace = unique('ns');
      const nodes = await Promise.all([1, 2, 3].map(() => openBackplane({ connectionString: url }, { namespace })));
      await Promise.all(
        nodes.map(async (node, index) => {
          const producer = new Producer(node);
          for (let i = 0; i < 30; i += 1) {
            await producer.append(
              [frame('a', `${i}`)],
              [{ kind: 'claim', offset: 1, session: 'a', claim: `${index}-${i}` }],
            );
          }
        }),
      );
      const { parts } = (await nodes[0]?.backplane.read(0)) ?? { parts: [] };
      expect(parts.map(({ last }) => last)).toEqual(Array.from({ length: 90 }, (_, i) => i + 1));
    },
  );
});
