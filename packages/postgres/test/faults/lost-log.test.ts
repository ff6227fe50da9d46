import { setTimeout as sleep } from 'node:timers/promises';
import { type PostgresServer, startPostgres, waitFor } from 'test-support';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PostgresSubscriptionManager } from '../../src/index.ts';
import { figure } from './support/figures.ts';
import { CLEAN } from './support/oracle.ts';
import { OUTAGE_CODES, Rig } from './support/rig.ts';
import type { LocalNode } from './support/test-node.ts';

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server.stop());

const HEARTBEAT_MS = 200;
const TABLES = ['', '_head', '_log', '_node', '_producer', '_large', '_mark'].map((end) => `tmcp_sessions${end}`);

async function start(on: PostgresServer): Promise<{ rig: Rig; nodes: LocalNode[] }> {
  const rig = await Rig.on(on);
  const nodes = [rig.node({ heartbeatMs: HEARTBEAT_MS }), rig.node({ heartbeatMs: HEARTBEAT_MS })];
  await rig.connected(8);
  return { rig, nodes };
}

/**
 * What must follow when the log is not the one that was known: every node says so once, every stream ends once, and the next
 * stream of each session is live and stays so, whatever event its client names.
 */
async function startsAnew({ rig, nodes }: { rig: Rig; nodes: readonly LocalNode[] }, since: number): Promise<void> {
  const { clients } = rig;
  await waitFor(() => clients.every(({ line }) => line.state !== 'open'));
  figure('log lost: all streams ended after', performance.now() - since);
  for (const { reports } of nodes) await waitFor(() => reports.includes('discontinuity'));
  const after = new Rig(rig.server, rig.url);
  await Promise.all(
    clients.map(async (old, i) => {
      const client = after.client(old.session);
      const lastEventId = i % 2 ? old.lastEventId : undefined;
      await client.connect(nodes[i % 3 ? 0 : 1] as LocalNode, { lastEventId });
    }),
  );
  await using load = after.load({ nodes });
  await sleep(HEARTBEAT_MS * 5);
  await load.stop();
  expect(await after.settled()).toMatchObject(CLEAN);
  for (const { line, hints } of after.clients) {
    expect({ state: line.state, hints }).toEqual({ state: 'open', hints: 3 });
  }
  for (const node of nodes) expect(await node.stats()).toMatchObject({ state: 'open', discontinuities: 1 });
  expect(nodes.flatMap(({ reports }) => reports).filter((code) => code === 'not-resumed')).toHaveLength(clients.length);
}

describe.concurrent('a store that is wiped', () => {
  const wipes = {
    rows: `truncate ${TABLES.join(', ')}`,
    head: 'delete from tmcp_sessions_head',
    tables: `drop table ${TABLES.join(', ')}, tmcp_sessions_migrations`,
    schema: 'drop schema public cascade; create schema public',
  };
  for (const [name, sql] of Object.entries(wipes)) {
    it(`faults/wiped-${name}: is reported, ends each stream once, and the next one is live`, async () => {
      const system = await start(server);
      await using rig = system.rig;
      await using load = rig.load();
      await sleep(200);
      const since = performance.now();
      await rig.query(sql);
      await load.stop();
      await startsAnew(system, since);
      expect(Object.keys(rig.ledger.refusals).filter((code) => code !== 'discontinuity')).toEqual([]);
      expect(rig.reportsBeside(...OUTAGE_CODES, 'discontinuity', 'not-resumed', 'schema-missing')).toEqual([]);
    });
  }
});

describe.concurrent('listen streams of the newest protocol', () => {
  it('faults/wiped-listeners: are told to look again at what they filter for, once, and go on', async () => {
    await using rig = await Rig.on(server);
    const options = { connectionString: rig.url, heartbeatMs: HEARTBEAT_MS, onError: () => undefined };
    await using manager = new PostgresSubscriptionManager(options);
    await using sender = new PostgresSubscriptionManager(options);
    const told: string[] = [];
    const filters = { toolsListChanged: true, resourceSubscriptions: ['file:///a'] };
    const callbacks = {
      acknowledge: async () => undefined,
      send: async ({ method }: { method: string }) => void told.push(method),
      close: async () => undefined,
    };
    expect(await manager.create({ id: 1, origin: 'here', filters }, callbacks)).toBe(true);
    const changed = { jsonrpc: '2.0', method: 'notifications/tools/list_changed' } as const;
    await sender.publish(changed);
    await waitFor(() => told.length === 1);
    await rig.query(`truncate ${TABLES.join(', ')}`);
    // One hint for each thing it filters for, whichever process notices first.
    await waitFor(() => told.length === 3);
    await waitFor(() => sender.stats().discontinuities === 1);
    await sleep(HEARTBEAT_MS * 5);
    expect(told).toEqual([changed.method, changed.method, 'notifications/resources/updated']);
    await sender.publish(changed);
    await waitFor(() => told.length === 4);
  });
});

describe.concurrent('a store that is set back', () => {
  it('faults/rolled-back: an older copy of the server is reported, also where the log has outgrown it since', async () => {
    await using own = await startPostgres();
    const system = await start(own);
    await using rig = system.rig;
    const [node] = system.nodes as [LocalNode];
    const copy = await own.snapshot();
    for (let i = 0; i < 20; i += 1) await rig.publish(node, undefined);
    expect(await rig.settled()).toMatchObject(CLEAN);
    await own.restore(copy);
    await startsAnew(system, performance.now());
  });

  for (const regrown of [false, true]) {
    const name = regrown ? 'regrown' : 'shorter';
    it(`faults/rolled-back-${name}: rows of an hour ago are noticed, though every table and channel is the same`, async () => {
      const system = await start(server);
      await using rig = system.rig;
      const [node] = system.nodes as [LocalNode];
      const kept = TABLES.map((table) => `create table ${table}_copy as table ${table}`);
      await rig.query(kept.join(';'));
      for (let i = 0; i < 20; i += 1) await rig.publish(node, undefined);
      expect(await rig.settled()).toMatchObject(CLEAN);
      const back = TABLES.map((table) => `insert into ${table} table ${table}_copy`);
      // Somebody else goes on from there at once: by the time anybody looks, the log is longer than before.
      const grow = `insert into tmcp_sessions_log (ns, last, n, tok, bytes, at, head, data)
          select ns, pos + 50, 50, 'other:1:1', bytes + 100, now(), '[' || repeat('["nobody",0],', 49) || '["nobody",0]]', ''
          from tmcp_sessions_head; update tmcp_sessions_head set pos = pos + 50, bytes = bytes + 100`;
      await rig.query(`truncate ${TABLES.join(', ')}; ${back.join(';')}; ${regrown ? grow : 'select'}`);
      await startsAnew(system, performance.now());
    });
  }

  it('faults/restored-tables: tables that were dropped and restored from a dump are no reason to call anybody dead', async () => {
    const system = await start(server);
    await using rig = system.rig;
    const [a, b] = system.nodes as [LocalNode, LocalNode];
    const renewed = TABLES.filter((table) => table.endsWith('_head')).map(
      (table) => `create table ${table}_copy (like ${table} including all); insert into ${table}_copy table ${table};
        drop table ${table}; alter table ${table}_copy rename to ${table}`,
    );
    await rig.query(renewed.join(';'));
    const sessions = rig.clients.map(({ session }) => session);
    await waitFor(async () => {
      const found = await Promise.all(sessions.flatMap((session) => [a.has(session), b.has(session)]));
      return found.every(Boolean);
    });
    for (const [i, client] of rig.clients.entries()) await rig.reaches(client, i % 2 ? a : b);
    for (const { line } of rig.clients) expect(line.state).toBe('open');
    expect(await rig.settled()).toMatchObject(CLEAN);
  });
});
