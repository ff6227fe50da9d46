import type { Batch } from '@tmcp/session-manager';
import { type KitPostgres, kitPostgres, queryOnce, waitFor } from 'test-support';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PostgresConnection } from '../src/postgres-connection.ts';
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

describe('claims', () => {
  it('claims/first: a first claim starts at its own position and has no previous one', async () => {
    const node = await open();
    const producer = new Producer(node);
    await producer.append([frame('a', 'before')]);
    const { claims } = await producer.control({ kind: 'claim', session: 'a', claim: 'c1' });
    expect(claims).toEqual([{ session: 'a', claim: 'c1', at: 2, floor: 2, previous: undefined }]);
  });

  it('claims/held: a claim finds the held one, the cursor of its node, and where its stream had to start', async () => {
    const namespace = unique('ns');
    const [one, two] = await Promise.all([open({ namespace }), open({ namespace })]);
    const [p1, p2] = [new Producer(one), new Producer(two)];
    const claim = async (producer: Producer, name: string) =>
      (await producer.control({ kind: 'claim', session: 'a', claim: name })).claims[0];

    await claim(p1, 'c1');
    await one.backplane.beat({ node: one.node, cursor: 1, check: 1 });
    // The cursor is at the old claim: from there on its stream was told of everything.
    const second = await claim(p2, 'c2');
    expect(second).toMatchObject({
      at: 2,
      floor: 1,
      previous: { claim: 'c1', node: one.node, at: 1, from: 1, cursor: 1 },
    });
    expect(second?.previous).toMatchObject({ detach: undefined, sent: undefined });
    // The node of c2 has not read its claim: whatever c2 had to start with is still due.
    await two.backplane.beat({ node: two.node, cursor: 0, check: 0 });
    expect((await claim(p1, 'c3'))?.previous).toMatchObject({ claim: 'c2', at: 2, from: 1, cursor: 0 });
    expect((await claim(p2, 'c4'))?.previous).toMatchObject({ claim: 'c3', at: 3, from: 0, cursor: 1 });
  });

  it("claims/unknown-node: where a stream had to start is unknown once its predecessor's node is forgotten", async () => {
    const namespace = unique('ns');
    const [one, two] = await Promise.all([open({ namespace }), open({ namespace })]);
    const [p1, p2] = [new Producer(one), new Producer(two)];
    await p1.control({ kind: 'claim', session: 'a', claim: 'c1' });
    await one.backplane.leave(one.node);
    const { claims } = await p2.control({ kind: 'claim', session: 'a', claim: 'c2' });
    expect(claims[0]?.previous).toMatchObject({ claim: 'c1', cursor: undefined, from: 1 });
    const again = await p1.control({ kind: 'claim', session: 'a', claim: 'c3' });
    expect(again.claims[0]?.previous).toMatchObject({ claim: 'c2', from: undefined });
  });

  it('claims/release: a release keeps where to go on, for its own claim only', async () => {
    const node = await open();
    const producer = new Producer(node);
    const release = (claim: string, detach: number) =>
      producer.control({ kind: 'release', session: 'a', claim, detach, sent: detach - 1 });
    await producer.control({ kind: 'claim', session: 'a', claim: 'c1' });
    await release('another', 9);
    expect(await node.backplane.locate('a')).toBe('attached');
    await release('c1', 3);
    expect(await node.backplane.locate('a')).toBeUndefined();
    const { claims } = await producer.control({ kind: 'claim', session: 'a', claim: 'c2' });
    expect(claims[0]).toMatchObject({ floor: 1, previous: { claim: 'c1', detach: 3, sent: 2 } });
    expect(await node.backplane.locate('a')).toBe('attached');
    const third = await producer.control({ kind: 'claim', session: 'a', claim: 'c3' });
    expect(third.claims[0]?.previous).toMatchObject({ claim: 'c2', from: 3, detach: undefined, sent: undefined });
  });

  it('claims/end: after an end the next claim is a first one, with a new floor', async () => {
    const node = await open();
    const producer = new Producer(node);
    await producer.control({ kind: 'claim', session: 'a', claim: 'c1' });
    await producer.control({ kind: 'end', session: 'a' });
    expect(await node.backplane.locate('a')).toBeUndefined();
    const { claims } = await producer.control({ kind: 'claim', session: 'a', claim: 'c2' });
    expect(claims).toEqual([{ session: 'a', claim: 'c2', at: 3, floor: 3, previous: undefined }]);
  });

  it('claims/batch: many claims, releases and ends in one batch are answered in its order', async () => {
    const node = await open();
    const producer = new Producer(node);
    await producer.control({ kind: 'claim', session: 'old', claim: 'c0' });
    const ids = ['z', 'a"\\', "b'", 'old', '语', '%_', 'a'];
    const controls = ids.map((session, i) => ({ kind: 'claim', offset: i + 1, session, claim: `n${i}` }) as const);
    const { claims } = await producer.append([part('[]', '', ids.length)], controls);
    expect(claims.map(({ session, at }) => [session, at])).toEqual(ids.map((session, i) => [session, i + 2]));
    expect(claims.filter(({ previous }) => previous).map(({ session }) => session)).toEqual(['old']);
    for (const id of ids) expect(await node.backplane.locate(id)).toBe('attached');
  });

  it('claims/namespaces: the same id in another namespace is another session', async () => {
    const [one, two] = [await open(), await open()];
    await new Producer(one).control({ kind: 'claim', session: 'a', claim: 'c1' });
    expect(await two.backplane.locate('a')).toBeUndefined();
    expect(
      (await new Producer(two).control({ kind: 'claim', session: 'a', claim: 'c2' })).claims[0]?.previous,
    ).toBeUndefined();
    expect(two.heard.parts.every(({ head }) => !head.includes('c1'))).toBe(true);
  });
});

describe('reading', () => {
  it('read/pages: pages of about 1 MiB end with the log, each begins where the last one ended', async () => {
    const node = await open();
    const producer = new Producer(node);
    for (let i = 0; i < 40; i += 1) await producer.append([frame('a', 'x'.repeat(65_000))]);
    await producer.append([frame('a', 'x'.repeat(3 * 1024 * 1024))]);
    const pages: number[] = [];
    let position = 0;
    for (;;) {
      const { parts, epoch, trimmed } = await node.backplane.read(position);
      expect([epoch.length, trimmed]).toEqual([9, 0]);
      if (parts.length === 0) break;
      expect(parts[0]?.last).toBe(position + 1);
      position = parts.at(-1)?.last ?? 0;
      pages.push(parts.length);
    }
    expect(position).toBe(41);
    expect(pages).toEqual([17, 17, 6, 1]);
  });

  it('read/inside-a-part: a position inside a part begins with that part', async () => {
    const node = await open();
    await new Producer(node).append([part('[["a",1],["a",1],["a",1]]', 'abc', 3), frame('a', 'd')]);
    expect((await node.backplane.read(1)).parts.map(({ last }) => last)).toEqual([3, 4]);
    expect((await node.backplane.read(3)).parts.map(({ last }) => last)).toEqual([4]);
  });

  it('search/ids: finds what concerns a session, whatever characters its id has, and little else', async () => {
    const node = await open();
    const producer = new Producer(node);
    const ids = ['a', 'ab', 'b', '"', '\\', '\\"', "'", '%', 'é語😀', ' ', 'x'.repeat(1024)];
    for (const id of ids) await producer.append([frame(id, id)]);
    await producer.append([part(JSON.stringify([[['q', 'ab'], 1]]), 'm')]);
    await producer.append([part('[[0,3]]', 'all')]);
    for (const [i, id] of ids.entries()) {
      const { parts, complete } = await node.backplane.search(id, 0, 100);
      expect(complete).toBe(true);
      expect(parts.map(({ last }) => last)).toEqual([i + 1, ...(id === 'ab' ? [12] : []), 13]);
      expect(parts[0]).toMatchObject({ data: id });
    }
    expect((await node.backplane.search('nobody', 0, 100)).parts.map(({ data }) => data)).toEqual(['all']);
  });

  it('search/range: answers parts that reach into the range, and says when there may be more', async () => {
    const node = await open();
    const producer = new Producer(node);
    const three = part('[["a",1],["b",1],["b",1]]', 'xyz', 3);
    await producer.append([three, three]);
    const lasts = async (after: number, upTo: number) =>
      (await node.backplane.search('a', after, upTo)).parts.map(({ last }) => last);
    expect(await lasts(0, 3)).toEqual([3]);
    expect(await lasts(0, 4)).toEqual([3, 6]);
    expect(await lasts(2, 3)).toEqual([3]);
    expect(await lasts(3, 3)).toEqual([]);
    for (let i = 0; i < 100; i += 1) await producer.append([frame('a', 'x')]);
    const page = await node.backplane.search('a', 0, 1_000);
    expect([page.parts.length, page.complete]).toEqual([64, false]);
    const rest = await node.backplane.search('a', page.parts.at(-1)?.last ?? 0, 1_000);
    expect([rest.parts.length, rest.complete]).toEqual([38, true]);
  });

  it('search/large: a page of large parts is cut at about 1 MiB', async () => {
    const node = await open();
    const producer = new Producer(node);
    for (let i = 0; i < 30; i += 1) await producer.append([frame('a', 'x'.repeat(64_000))]);
    const page = await node.backplane.search('a', 0, 100);
    expect([page.parts.length, page.complete]).toEqual([17, false]);
    expect(page.parts.every(({ data }) => data.length === 64_000)).toBe(true);
  });

  it('large/roundtrip: a payload of 16 MiB is stored beside the log, and storing it again changes nothing', async () => {
    const node = await open();
    const payload = 'é"\\😀'.repeat((16 * 1024 * 1024) / 8);
    await node.backplane.putLarge('l1', payload);
    await node.backplane.putLarge('l1', payload);
    expect((await node.backplane.getLarge('l1')) === payload).toBe(true);
    expect(await node.backplane.getLarge('l2')).toBeUndefined();
  });
});

describe('beats', () => {
  it('beat/registers: the first beat registers the node at the head and answers the token there', async () => {
    const namespace = unique('ns');
    const one = await open({ namespace });
    expect(await one.backplane.beat({ node: 'n', cursor: undefined, check: undefined })).toMatchObject({
      head: 0,
      token: undefined,
      registered: true,
      trimmed: 0,
    });
    const producer = new Producer(one);
    await producer.append([frame('a', '1'), frame('a', '2')]);
    const answer = await one.backplane.beat({ node: 'm', cursor: undefined, check: undefined });
    expect(answer).toMatchObject({ head: 2, token: `${producer.id}:1:2`, registered: true });
    expect(await one.backplane.inspect('m')).toEqual({ liveness: 'attached', cursor: 2 });
    expect(await one.backplane.beat({ node: 'm', cursor: 1, check: 1 })).toMatchObject({
      head: 2,
      token: `${producer.id}:1:1`,
      registered: false,
    });
    expect(await one.backplane.inspect('m')).toEqual({ liveness: 'attached', cursor: 1 });
  });

  it('beat/not-behind-appends: a beat does not wait for an append that holds the head', async () => {
    const node = await open();
    const { heard: _, ...other } = await open();
    await other.backplane.close();
    const connection = new PostgresConnection({ connectionString: postgres.url });
    const release = connection.retain();
    const names = await connection.prepare();
    await connection.calls.transaction(async (run) => {
      await run(`select from ${names.head} for update`);
      const started = performance.now();
      await node.backplane.beat({ node: node.node, cursor: 0, check: 0 });
      expect(performance.now() - started).toBeLessThan(500);
    });
    await release();
  });

  it('liveness/dead: a node is dead when its beat is too old or it is not known', async () => {
    const node = await open({ sessionTimeoutMs: 200 });
    await new Producer(node).control({ kind: 'claim', session: 'a', claim: 'c1' });
    expect(await node.backplane.locate('a')).toBe('attached');
    await waitFor(async () => (await node.backplane.locate('a')) === 'dead');
    expect((await node.backplane.inspect(node.node)).liveness).toBe('dead');
    await node.backplane.beat({ node: node.node, cursor: 0, check: 0 });
    expect(await node.backplane.locate('a')).toBe('attached');
    await node.backplane.leave(node.node);
    expect(await node.backplane.locate('a')).toBe('dead');
    expect(await node.backplane.inspect(node.node)).toEqual({ liveness: 'dead', cursor: undefined });
  });

  it('liveness/suspect: a node whose process ended without a word is suspect at once', async () => {
    const namespace = unique('ns');
    const [one, two] = await Promise.all([open({ namespace }), open({ namespace })]);
    await new Producer(one).control({ kind: 'claim', session: 'a', claim: 'c1' });
    expect(await two.backplane.locate('a')).toBe('attached');
    await one.backplane.close();
    await waitFor(async () => (await two.backplane.locate('a')) === 'suspect', { timeoutMs: 1_000 });
    expect((await two.backplane.inspect(one.node)).liveness).toBe('suspect');
  });
});
