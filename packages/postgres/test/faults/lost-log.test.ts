import { type PostgresServer, startPostgres, waitFor } from 'test-support';
import { lostLogSuite, startsAnew, startTwo } from 'test-support/fault-suites';
import { CLEAN } from 'test-support/faults';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PostgresSubscriptionManager } from '../../src/index.ts';
import { Rig } from './support/rig.ts';

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server.stop());

const TABLES = ['', '_head', '_log', '_node', '_producer', '_large', '_mark'].map((end) => `tmcp_sessions${end}`);

lostLogSuite({
  makeRig: () => Rig.on(server),
  wipes: {
    rows: (rig) => rig.query(`truncate ${TABLES.join(', ')}`),
    head: (rig) => rig.query('delete from tmcp_sessions_head'),
    tables: (rig) => rig.query(`drop table ${TABLES.join(', ')}, tmcp_sessions_migrations`),
    schema: (rig) => rig.query('drop schema public cascade; create schema public'),
  },
  alsoHarmless: ['schema-missing'],
  makeSubscriptions: ({ url }, options) => new PostgresSubscriptionManager({ connectionString: url, ...options }),
});

describe.concurrent('a store that is set back', () => {
  it('faults/rolled-back: an older copy of the server is reported, also where the log has outgrown it since', async () => {
    await using own = await startPostgres();
    const system = await startTwo(await Rig.on(own));
    await using rig = system.rig;
    const [node] = system.nodes;
    const copy = await own.snapshot();
    for (let i = 0; i < 20; i += 1) await rig.publish(node, undefined);
    expect(await rig.settled()).toMatchObject(CLEAN);
    await own.restore(copy);
    await startsAnew(system, performance.now());
  });

  for (const regrown of [false, true]) {
    const name = regrown ? 'regrown' : 'shorter';
    it(`faults/rolled-back-${name}: rows of an hour ago are noticed, though every table and channel is the same`, async () => {
      const system = await startTwo(await Rig.on(server));
      await using rig = system.rig;
      const [node] = system.nodes;
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
    const system = await startTwo(await Rig.on(server));
    await using rig = system.rig;
    const [a, b] = system.nodes;
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
