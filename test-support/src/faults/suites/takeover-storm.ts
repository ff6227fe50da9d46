import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { TcpProxy } from '../../tcp-proxy/tcp-proxy.ts';
import { waitFor } from '../../wait-for.ts';
import type { MakeRig } from '../fault-rig.ts';
import { figure } from '../figures.ts';
import { CLEAN } from '../oracle.ts';
import type { RemoteNode } from '../remote-node.ts';
import { type Move, move, Storm, swallowAppend } from '../storm.ts';

const SEED = Number(process.env.STORM_SEED ?? Math.floor(Math.random() * 1e9));
const STORM_MS = Number(process.env.STORM_MS ?? 4_000);
const KINDS: readonly Move[] = ['torn', 'resumed', 'unnamed', 'returned'];

/** Sessions that move faster than anybody would. */
export function takeoverStormSuite(makeRig: MakeRig): void {
  describe.concurrent('a storm of takeovers', () => {
    it(`faults/takeover-storm: 24 sessions move about three processes under load and faults (seed ${SEED})`, {
      timeout: STORM_MS + 60_000,
    }, async () => {
      await using rig = await makeRig();
      const proxies: TcpProxy[] = [];
      const nodes: RemoteNode[] = await Promise.all(
        [1, 2, 3].map(async () => {
          const { proxy, through } = await rig.proxy();
          proxies.push(proxy);
          return rig.remote(through);
        }),
      );
      const clients = await rig.connected(24);
      const load = rig.load({ senders: 6, pauseMs: 4, seed: SEED });
      await using storm = new Storm();
      const moves: Record<string, number> = {};
      const delays: number[] = [];
      for (const [i, client] of clients.entries()) {
        storm.repeat(SEED + i, 80, async (random) => {
          const began = performance.now();
          const kind = await move(client, nodes, random);
          delays.push(performance.now() - began);
          moves[kind] = (moves[kind] ?? 0) + 1;
        });
      }
      let cuts = 0;
      let swallowed = 0;
      storm.repeat(SEED - 1, 200, async (random) => {
        const proxy = random.pick(proxies);
        if (random.next() < 0.5) cuts += proxy.cut(({ labels }) => labels.has('listener'));
        else if (await swallowAppend(proxy)) swallowed += 1;
      });
      // A slow machine storms for longer.
      const enough = (): boolean =>
        cuts > 0 && swallowed > 0 && rig.ledger.accepted > 500 && KINDS.every((kind) => (moves[kind] ?? 0) > 20);
      await sleep(STORM_MS);
      await waitFor(enough, { timeoutMs: 30_000, message: () => `a storm; there were ${JSON.stringify(moves)}` });
      await storm.stop();
      await load.stop();
      expect(await rig.settled()).toMatchObject({ ...CLEAN, repeated: [] });
      expect(rig.ledger.refusals).toEqual({});
      expect(rig.reportsBeside(...rig.harmless)).toEqual([]);
      delays.sort((a, b) => a - b);
      figure('storm: accepted', rig.ledger.accepted, '');
      figure('storm: moves', delays.length, '');
      figure('storm: listening connections cut', cuts, '');
      figure('storm: answers swallowed', swallowed, '');
      figure('storm: create p50', delays[Math.floor(delays.length / 2)] ?? 0);
      figure('storm: create p99', delays[Math.floor(delays.length * 0.99)] ?? 0);
    });
  });
}
