import { Pool } from 'pg';
import { type PostgresServer, queryOnce, startPostgres, TcpProxy, waitFor } from 'test-support';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { closeAfterEach, frame, openBackplane, Producer } from './harness.ts';

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server.stop());
closeAfterEach();

const listeners = (url: string): Promise<number> =>
  queryOnce(
    url,
    `select count(*)::int as n from pg_locks where locktype = 'advisory' and mode = 'ShareLock'
       and database = (select oid from pg_database where datname = current_database())`,
  ).then(([row]) => Number(row?.n));

describe('lost connections', () => {
  it('reconnect/terminated: listens again soon, and beats meanwhile', async () => {
    const url = await server.createDatabase();
    const node = await openBackplane({ connectionString: url });
    const name = new URL(url).pathname.slice(1);
    for (let i = 1; i <= 5; i += 1) {
      expect(await server.terminate(`datname = '${name}'`)).toBeGreaterThan(0);
      await waitFor(() => node.heard.events.length >= 2 * i);
      await waitFor(async () => {
        await node.backplane.beat({ node: node.node, cursor: 0, check: 0 });
        return (await node.backplane.inspect(node.node)).liveness === 'attached';
      });
      await waitFor(() => node.heard.events.length === 2 * i + 1);
    }
    expect(node.heard.events).toEqual([
      'connected',
      ...Array.from({ length: 5 }, () => ['disconnected', 'connected']).flat(),
    ]);
    await waitFor(async () => (await listeners(url)) === 1);
  });

  it('reconnect/one-loop: attempts do not multiply while the server is away', async () => {
    const own = await startPostgres();
    try {
      const proxy = await TcpProxy.start(own);
      const node = await openBackplane({ connectionString: proxy.url(own.url), callTimeoutMs: 1_000 });
      await own.shutDown();
      await waitFor(() => node.heard.events.length === 2);
      const before = proxy.accepted;
      await new Promise((resolve) => setTimeout(resolve, 1_500));
      expect(proxy.accepted - before).toBeLessThan(12);
      await own.start();
      await waitFor(() => node.heard.events.length === 3);
      expect(await listeners(own.url)).toBe(1);
      await new Producer(node).append([frame('a', 'x')]);
      await waitFor(() => node.heard.parts.length === 1);
      await node.backplane.close();
      await proxy.close();
    } finally {
      await own.stop();
    }
  });

  it('reconnect/half-open: a beat that is not answered ends the listening connection, and another one is made', async () => {
    const proxy = await TcpProxy.start(server);
    const connectionString = await server.createDatabase();
    const node = await openBackplane({
      connectionString,
      listenConnectionString: proxy.url(connectionString),
      callTimeoutMs: 500,
    });
    proxy.blackhole('both');
    await expect(node.backplane.beat({ node: node.node, cursor: 0, check: 0 })).rejects.toMatchObject({
      code: 'timeout',
    });
    expect(node.heard.events).toEqual(['connected', 'disconnected']);
    // Without it the pool carries the beats, and nobody takes the process for dead.
    await node.backplane.beat({ node: node.node, cursor: 0, check: 0 });
    expect((await node.backplane.inspect(node.node)).liveness).toBe('attached');
    proxy.blackhole(false);
    await waitFor(() => node.heard.events.length === 3);
    await node.backplane.beat({ node: node.node, cursor: 0, check: 0 });
    await node.backplane.close();
    await proxy.close();
  });

  it('append/answer-swallowed: a batch whose answer was lost is not stored twice', async () => {
    const proxy = await TcpProxy.start(server);
    const connectionString = proxy.url(await server.createDatabase());
    const node = await openBackplane({ connectionString, callTimeoutMs: 500 });
    const batch = await new Producer(node).batch(
      [frame('a', 'x')],
      [{ kind: 'claim', offset: 1, session: 'a', claim: 'c1' }],
    );
    const swallowed = proxy.swallowAnswerAfter((chunk) => chunk.includes('_append'));
    await expect(node.backplane.append(batch)).rejects.toMatchObject({
      code: expect.stringMatching(/timeout|unavailable/),
    });
    await swallowed;
    expect(await node.backplane.append(batch)).toMatchObject({ last: 1, claims: [{ at: 1, previous: undefined }] });
    expect((await node.backplane.read(0)).parts).toHaveLength(1);
    await node.backplane.close();
    await proxy.close();
  });

  it('append/lock-held: an append that waits for the head ends with the deadline, on the server as well', async () => {
    const url = await server.createDatabase();
    const node = await openBackplane({ connectionString: url, callTimeoutMs: 300 });
    const batch = await new Producer(node).batch([frame('a', 'x')]);
    const pool = new Pool({ connectionString: url, max: 1 });
    const client = await pool.connect();
    await client.query('begin');
    await client.query('select from tmcp_sessions_head for update');
    await expect(node.backplane.append(batch)).rejects.toMatchObject({ code: 'timeout' });
    const waiting = () =>
      queryOnce(url, `select from pg_stat_activity where wait_event_type = 'Lock' and query like '%_append%'`);
    await waitFor(async () => (await waiting()).length === 0);
    await client.query('rollback');
    client.release();
    await pool.end();
    expect(await node.backplane.append(batch)).toMatchObject({ last: 1 });
  });

  it('frozen/server: every call settles, and all is well after the thaw', async () => {
    const own = await startPostgres();
    try {
      const node = await openBackplane({ connectionString: own.url, callTimeoutMs: 300 });
      const batch = await new Producer(node).batch([frame('a', 'x')]);
      own.freeze();
      const { backplane } = node;
      const calls = [
        backplane.append(batch),
        backplane.read(0),
        backplane.search('a', 0, 1),
        backplane.locate('a'),
        backplane.beat({ node: node.node, cursor: 0, check: 0 }),
        backplane.putLarge('l', 'x'),
      ];
      const outcomes = await Promise.allSettled(calls);
      for (const outcome of outcomes)
        expect(outcome).toMatchObject({
          status: 'rejected',
          reason: { name: 'SessionError', code: expect.stringMatching(/timeout|unavailable/) },
        });
      own.thaw();
      await waitFor(async () => (await backplane.append(batch)).state === 'stored');
      expect((await backplane.read(0)).parts).toHaveLength(1);
      await waitFor(() => node.heard.events.at(-1) === 'connected');
      await node.backplane.close();
    } finally {
      own.thaw();
      await own.stop();
    }
  });
});
