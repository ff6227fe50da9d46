import { describe, expect, it } from 'vitest';
import { frame, type OpenNodes, Producer, part } from './harness.ts';

/** Pages of the log, and what concerns one session in it. */
export function readingSuite(open: OpenNodes): void {
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
        expect(epoch).toMatch(/^[a-z0-9]{1,32}$/);
        expect(trimmed).toBe(0);
        if (parts.length === 0) break;
        expect(parts[0]?.last).toBe(position + 1);
        position = parts.at(-1)?.last ?? 0;
        pages.push(parts.length);
      }
      expect(position).toBe(41);
      // Whether the last one, of 3 MiB, is a page of its own is the backend's affair.
      expect(pages.slice(0, 2)).toEqual([17, 17]);
      expect(pages.length).toBeLessThanOrEqual(4);
    });

    it('read/mixed: a page of small parts with large ones behind them is no larger', async () => {
      const node = await open();
      const producer = new Producer(node);
      for (let i = 0; i < 40; i += 1) await producer.append([frame('a', 'x'.repeat(i < 3 ? 10 : 200_000))]);
      let position = 0;
      while (position < 40) {
        const { parts } = await node.backplane.read(position);
        expect(parts.reduce((sum, { data }) => sum + data.length, 0)).toBeLessThan(1024 * 1024 + 200_000);
        position = parts.at(-1)?.last ?? expect.unreachable();
      }
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
        const { parts, complete } = await node.backplane.search(id, 0, 13);
        expect(complete).toBe(true);
        expect(parts.map(({ last }) => last)).toEqual([i + 1, ...(id === 'ab' ? [12] : []), 13]);
        expect(parts[0]).toMatchObject({ data: id });
      }
      expect((await node.backplane.search('nobody', 0, 100)).parts.map(({ data }) => data)).toEqual(['all']);
    });

    it('search/range: answers parts that reach into the range and nothing behind it, and says when there may be more', async () => {
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
      const found: number[] = [];
      for (;;) {
        const page = await node.backplane.search('a', found.at(-1) ?? 0, 106);
        found.push(...page.parts.map(({ last }) => last));
        if (page.complete) break;
      }
      expect(found).toEqual([3, 6, ...Array.from({ length: 100 }, (_, i) => i + 7)]);
      expect((await node.backplane.search('a', 106, 1_000)).complete).toBe(true);
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
}
