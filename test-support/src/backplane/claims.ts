import { describe, expect, it } from 'vitest';
import { waitFor } from '../wait-for.ts';
import { frame, type OpenNodes, Producer, part, unique } from './harness.ts';

/**
 * Who holds a session, and where the stream of whoever comes next has to start.
 *
 * @param LOST the constant of the core
 */
export function claimsSuite(open: OpenNodes, LOST: number): void {
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

    it('claims/left: what a node did not give back before it left is released where its stream had to start', async () => {
      const namespace = unique('ns');
      const [one, two] = await Promise.all([open({ namespace }), open({ namespace })]);
      const [p1, p2] = [new Producer(one), new Producer(two)];
      await p1.control({ kind: 'claim', session: 'a', claim: 'c1' });
      await p2.control({ kind: 'claim', session: 'other', claim: 'c2' });
      await one.backplane.leave(one.node);
      expect(await two.backplane.locate('a')).toBeUndefined();
      expect(await two.backplane.locate('other')).toBe('attached');
      const { claims } = await p2.control({ kind: 'claim', session: 'a', claim: 'c3' });
      expect(claims[0]?.previous).toMatchObject({ claim: 'c1', detach: 1, sent: 1, cursor: undefined, from: 1 });
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

    it('claims/superseded: the release of a claim that was taken over from says where its successor had to start', async () => {
      const node = await open();
      const producer = new Producer(node);
      await producer.control({ kind: 'claim', session: 'a', claim: 'c1' });
      await producer.control({ kind: 'claim', session: 'a', claim: 'c2' });
      await producer.control({ kind: 'release', session: 'a', claim: 'c1', detach: 2, sent: 1 });
      expect(await node.backplane.locate('a')).toBe('attached');
      const third = await producer.control({ kind: 'claim', session: 'a', claim: 'c3' });
      expect(third.claims[0]?.previous).toMatchObject({ claim: 'c2', from: 2, detach: undefined, sent: undefined });
      // Of one further back, or one that does not know: nothing, or that it is not known.
      await producer.control({ kind: 'release', session: 'a', claim: 'c1', detach: 1, sent: 1 });
      await producer.control({ kind: 'release', session: 'a', claim: 'c2', detach: LOST, sent: LOST });
      const fourth = await producer.control({ kind: 'claim', session: 'a', claim: 'c4' });
      expect(fourth.claims[0]?.previous).toMatchObject({ claim: 'c3', from: undefined });
    });

    it('claims/lost-stays: what a new epoch lost stays lost, whatever an earlier life of the log still says', async () => {
      const node = await open();
      const producer = new Producer(node);
      await producer.control({ kind: 'claim', session: 'a', claim: 'c1' });
      const before = await node.backplane.beat({ node: node.node, cursor: 1, check: 1 });
      await node.backplane.renewEpoch(before.epoch);
      const next = new Producer(node);
      await next.control({ kind: 'release', session: 'a', claim: 'c1', detach: 1, sent: 1 });
      const { claims } = await next.control({ kind: 'claim', session: 'a', claim: 'c2' });
      expect(claims[0]).toMatchObject({ floor: 3, previous: { claim: 'c1', detach: LOST } });
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
      const ids = ['z', 'a"\\', "b'", 'old', '语', '%_', '{a}', '}{', 'a:b', '*', '\u2028', 'a/b', '😀', 'a'];
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

  describe('beats', () => {
    it('beat/registers: the first beat registers the node at the head and answers the token there', async () => {
      const namespace = unique('ns');
      const one = await open({ namespace });
      expect(await one.backplane.beat({ node: 'n', cursor: undefined, check: undefined })).toMatchObject({
        head: 0,
        token: undefined,
        unknown: true,
        trimmed: 0,
      });
      const producer = new Producer(one);
      await producer.append([frame('a', '1'), frame('a', '2')]);
      const answer = await one.backplane.beat({ node: 'm', cursor: undefined, check: undefined });
      expect(answer).toMatchObject({ head: 2, token: `${producer.id}:1:2`, unknown: true });
      expect(await one.backplane.inspect('m', 10_000)).toEqual({ liveness: 'attached', cursor: 2 });
      expect(await one.backplane.beat({ node: 'm', cursor: 1, check: 1 })).toMatchObject({
        head: 2,
        token: `${producer.id}:1:1`,
        unknown: false,
      });
      expect(await one.backplane.inspect('m', 10_000)).toEqual({ liveness: 'attached', cursor: 1 });
    });

    it('beat/registers-late: registering that takes effect when the node is at work does not move its cursor on', async () => {
      const one = await open();
      await one.backplane.beat({ node: 'n', cursor: undefined, check: undefined });
      await new Producer(one).append([frame('a', '1'), frame('a', '2')]);
      expect(await one.backplane.beat({ node: 'n', cursor: undefined, check: undefined })).toMatchObject({ head: 2 });
      expect(await one.backplane.inspect('n', 10_000)).toEqual({ liveness: 'attached', cursor: 0 });
    });

    it('beat/unknown: a beat of a node that is not known says so until it has registered', async () => {
      const { backplane } = await open();
      for (let i = 0; i < 2; i += 1) {
        expect(await backplane.beat({ node: 'n', cursor: 0, check: 0 })).toMatchObject({ head: 0, unknown: true });
        expect(await backplane.inspect('n', 10_000)).toEqual({ liveness: 'dead', cursor: undefined });
      }
      await backplane.beat({ node: 'n', cursor: undefined, check: undefined });
      expect(await backplane.beat({ node: 'n', cursor: 0, check: 0 })).toMatchObject({ unknown: false });
      expect(await backplane.inspect('n', 10_000)).toEqual({ liveness: 'attached', cursor: 0 });
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
      expect(await node.backplane.locate('a')).toBeUndefined();
      expect(await node.backplane.inspect(node.node)).toEqual({ liveness: 'dead', cursor: undefined });
    });

    it('liveness/suspect: a node whose process ended without a word is suspect long before its beat is too old, unless it was heard of lately', async () => {
      const namespace = unique('ns');
      const patient = { namespace, sessionTimeoutMs: 60_000 };
      const [one, two] = await Promise.all([open(patient), open(patient)]);
      await new Producer(one).control({ kind: 'claim', session: 'a', claim: 'c1' });
      expect(await two.backplane.locate('a')).toBe('attached');
      await one.backplane.close();
      await waitFor(async () => (await two.backplane.locate('a')) === 'suspect');
      expect((await two.backplane.inspect(one.node)).liveness).toBe('suspect');
      expect(await two.backplane.locate('a', 60_000)).toBe('attached');
    });
  });
}
