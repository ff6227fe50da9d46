import { setTimeout as sleep } from 'node:timers/promises';
import { type PostgresServer, startPostgres, type TcpProxy } from 'test-support';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { figure } from './support/figures.ts';
import { CLEAN } from './support/oracle.ts';
import type { RemoteNode } from './support/remote-node.ts';
import { OUTAGE_CODES, Rig } from './support/rig.ts';
import { move, Storm, swallowAppend } from './support/storm.ts';

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server.stop());

const SEED = Number(process.env.STORM_SEED ?? Math.floor(Math.random() * 1e9));
const STORM_MS = Number(process.env.STORM_MS ?? 4_000);

it(`faults/takeover-storm: 24 sessions move about three processes under load and faults (seed ${SEED})`, {
  timeout: STORM_MS + 60_000,
}, async () => {
  await using rig = await Rig.on(server);
  const proxies: TcpProxy[] = [];
  const nodes: RemoteNode[] = await Promise.all(
    [1, 2, 3].map(async () => {
      const { proxy, url } = await rig.proxy();
      proxies.push(proxy);
      return rig.remote({ connectionString: url });
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
  await sleep(STORM_MS);
  await storm.stop();
  await load.stop();
  expect(await rig.settled()).toMatchObject({ ...CLEAN, repeated: [] });
  expect(rig.ledger.refusals).toEqual({});
  expect(rig.reportsBeside(...OUTAGE_CODES)).toEqual([]);
  expect(rig.ledger.accepted).toBeGreaterThan(500);
  for (const kind of ['torn', 'resumed', 'unnamed', 'returned']) expect(moves[kind]).toBeGreaterThan(20);
  expect(cuts).toBeGreaterThan(0);
  expect(swallowed).toBeGreaterThan(0);
  delays.sort((a, b) => a - b);
  figure('storm: accepted', rig.ledger.accepted, '');
  figure('storm: moves', delays.length, '');
  figure('storm: listening connections cut', cuts, '');
  figure('storm: answers swallowed', swallowed, '');
  figure('storm: create p50', delays[Math.floor(delays.length / 2)] ?? 0);
  figure('storm: create p99', delays[Math.floor(delays.length * 0.99)] ?? 0);
});
