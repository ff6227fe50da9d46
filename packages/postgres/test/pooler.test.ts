import { Pool } from 'pg';
import {
  type PgBouncer,
  type PostgresServer,
  pgBouncer,
  queryOnce,
  startPgBouncer,
  startPostgres,
  waitFor,
} from 'test-support';
import { describeWith } from 'test-support/vitest';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { closeAfterEach, frame, openBackplane, Producer, unique } from './harness.ts';

let server: PostgresServer;
let pooler: PgBouncer;

closeAfterEach();

describeWith(pgBouncer, 'behind a transaction pooler', () => {
  beforeAll(async () => {
    server = await startPostgres();
    pooler = await startPgBouncer({ url: server.url, poolSize: 4 });
  });
  afterAll(async () => {
    await pooler.stop();
    await server.stop();
  });

  it('pooler/polls: without a direct connection it says so once, and hears of everything by polling', async () => {
    const namespace = unique('ns');
    const [one, two] = await Promise.all(
      [1, 2].map(() => openBackplane({ connectionString: pooler.url }, { namespace })),
    );
    if (!one || !two) throw new Error('unreachable');
    expect(one.heard.events).toEqual(['connected']);
    expect(one.heard.errors).toEqual([
      expect.objectContaining({ code: 'configuration', message: expect.stringContaining('listenConnectionString') }),
    ]);
    const producer = new Producer(one);
    for (let i = 0; i < 20; i += 1) await producer.append([frame('a', `${i}`)]);
    await waitFor(() => one.heard.wakes.includes(20) && two.heard.wakes.includes(20));
    expect((await two.backplane.read(0)).parts.map(({ data }) => data)).toEqual(
      Array.from({ length: 20 }, (_, i) => `${i}`),
    );
    expect([one.heard.errors.length, one.heard.events.length]).toEqual([1, 1]);
  });

  it('pooler/liveness: only beats count there, and no lock is left on connections of the pooler', async () => {
    const node = await openBackplane(
      { connectionString: pooler.url },
      { namespace: unique('ns'), sessionTimeoutMs: 300 },
    );
    await new Producer(node).control({ kind: 'claim', session: 'a', claim: 'c1' });
    await node.backplane.beat({ node: node.node, cursor: 0, check: 0 });
    expect(await node.backplane.locate('a')).toBe('attached');
    expect(
      await queryOnce(server.url, "select from pg_locks where locktype = 'advisory' and mode = 'ShareLock'"),
    ).toEqual([]);
    await waitFor(async () => (await node.backplane.locate('a')) === 'dead');
  });

  it('pooler/direct-listener: with a direct connection for the listener everything is as without a pooler', async () => {
    const node = await openBackplane(
      { connectionString: pooler.url, listenConnectionString: server.url },
      { namespace: unique('ns') },
    );
    const producer = new Producer(node);
    await Promise.all(Array.from({ length: 50 }, () => node.backplane.read(0)));
    for (let i = 0; i < 20; i += 1) await producer.append([frame('a', `${i}`)]);
    await waitFor(() => node.heard.parts.length === 20);
    expect(node.heard.errors).toEqual([]);
    expect((await node.backplane.inspect(node.node)).liveness).toBe('attached');
    expect(
      await queryOnce(server.url, "select from pg_locks where locktype = 'advisory' and mode = 'ShareLock'"),
    ).toHaveLength(1);
  });

  it('pooler/handed-in-pool: a pool of the application that goes through the pooler works as well', async () => {
    const pool = new Pool({ connectionString: pooler.url, max: 4 });
    const node = await openBackplane({ pool, listenConnectionString: server.url }, { namespace: unique('ns') });
    await Promise.all(Array.from({ length: 20 }, () => node.backplane.locate('a')));
    await new Producer(node).append([frame('a', 'x')]);
    await waitFor(() => node.heard.parts.length === 1);
    await node.backplane.close();
    await pool.end();
  });

  it('pooler/server-away: polling survives a restart of the server', { timeout: 60_000 }, async () => {
    const node = await openBackplane(
      { connectionString: pooler.url, callTimeoutMs: 2_000 },
      { namespace: unique('ns') },
    );
    const batch = await new Producer(node).batch([frame('a', 'x')]);
    await server.restart();
    // The pooler itself waits for 15 seconds before it tries a server again that refused it.
    const stored = () => node.backplane.append(batch).then(({ state }) => state === 'stored');
    await waitFor(stored, { timeoutMs: 25_000, intervalMs: 200 });
    await waitFor(() => node.heard.wakes.includes(1), { timeoutMs: 15_000 });
  });
});
