import { Pool } from 'pg';
import { type PostgresServer, queryOnce, startPostgres, TcpProxy, waitFor } from 'test-support';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PostgresConnection } from '../src/postgres-connection.ts';
import { closeAfterEach, frame, listen, makeBackplane, openBackplane, Producer, unique } from './harness.ts';

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server.stop());
closeAfterEach();

const connections = (url: string): Promise<{ query: string }[]> =>
  queryOnce(
    server.url,
    `select query from pg_stat_activity where datname = $1 and backend_type = 'client backend' order by backend_start`,
    [new URL(url).pathname.slice(1)],
  ) as Promise<{ query: string }[]>;

describe('connections', () => {
  it('connections/shared: several namespaces share one pool and one listening connection, ended with the last', async () => {
    const url = await server.createDatabase();
    const connection = new PostgresConnection({ connectionString: url, maxConnections: 2 });
    const nodes = await Promise.all(['a', 'b', 'c'].map((namespace) => openBackplane(connection, { namespace })));
    for (const node of nodes) {
      await new Producer(node).append([frame('s', node.node)]);
      await waitFor(() => node.heard.parts.length === 1);
    }
    for (const { heard, node } of nodes) expect(heard.parts.map(({ data }) => data)).toEqual([node]);
    expect((await connections(url)).length).toBeLessThanOrEqual(3);

    const [first, second, third] = nodes;
    await first?.backplane.close();
    await second?.backplane.close();
    if (third) await new Producer(third).append([frame('s', 'more')]);
    await waitFor(() => third?.heard.parts.length === 2);
    await third?.backplane.close();
    await waitFor(async () => (await connections(url)).length === 0);
    expect(() => connection.retain()).toThrow(expect.objectContaining({ code: 'closed' }));
    await expect(third?.backplane.read(0)).rejects.toMatchObject({ code: 'closed' });
  });

  it('connections/late-namespace: a namespace that joins a running connection listens as well', async () => {
    const url = await server.createDatabase();
    const connection = new PostgresConnection({ connectionString: url });
    const first = await openBackplane(connection, { namespace: 'a' });
    const late = await openBackplane(connection, { namespace: 'b' });
    expect(late.heard.events).toEqual(['connected']);
    await new Producer(late).append([frame('s', 'x')]);
    await waitFor(() => late.heard.parts.length === 1);
    expect(first.heard.events).toEqual(['connected']);
    expect((await late.backplane.inspect(late.node)).liveness).toBe('attached');
  });

  it('connections/handed-in-pool: is used, listened beside, and left as it was', async () => {
    const url = await server.createDatabase();
    const pool = new Pool({ connectionString: url, max: 3 });
    const handlers = pool.listenerCount('error');
    const nodes = await Promise.all([1, 2].map(() => openBackplane({ pool }, { namespace: unique('ns') })));
    for (const node of nodes) {
      await new Producer(node).append([frame('s', 'x')]);
      await waitFor(() => node.heard.parts.length === 1);
      expect((await node.backplane.inspect(node.node)).liveness).toBe('attached');
    }
    await server.terminate(`datname = '${new URL(url).pathname.slice(1)}'`);
    await Promise.all(nodes.map(({ heard }) => waitFor(() => heard.events.length === 3)));
    await Promise.all(nodes.map(({ backplane }) => backplane.close()));
    expect(pool.listenerCount('error')).toBe(handlers);
    expect((await pool.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
    await pool.end();
  });

  it('connections/foreign-parsers: type parsers of the application change nothing', async () => {
    const url = await server.createDatabase();
    const parsers = { getTypeParser: () => () => 'nonsense' } as never;
    const pool = new Pool({ connectionString: url, types: parsers });
    const node = await openBackplane({ pool });
    const { last } = await new Producer(node).append([frame('s', 'x')]);
    expect(last).toBe(1);
    await waitFor(() => node.heard.parts.length === 1);
    expect((await node.backplane.read(0)).parts).toEqual(node.heard.parts);
    await node.backplane.close();
    await pool.end();
  });

  it('connections/exhausted-pool: a pool without a free connection is a timeout, and gets its connections back', async () => {
    const url = await server.createDatabase();
    const pool = new Pool({ connectionString: url, max: 1 });
    const node = await openBackplane({ pool, callTimeoutMs: 300 });
    const taken = await pool.connect();
    await expect(node.backplane.read(0)).rejects.toMatchObject({ code: 'timeout' });
    taken.release();
    await waitFor(() => pool.idleCount === 1 && pool.waitingCount === 0);
    expect((await node.backplane.read(0)).parts).toEqual([]);
    await node.backplane.close();
    await pool.end();
  });
});

describe('unreachable servers', () => {
  it('open/unreachable: rejects in time, works when called again, and says nothing about the address', async () => {
    const proxy = await TcpProxy.start(server);
    const url = proxy.url(await server.createDatabase());
    await proxy.refuse(true);
    const backplane = makeBackplane(new PostgresConnection({ connectionString: url, callTimeoutMs: 1_000 }));
    const { listener, events } = listen();
    for (let i = 0; i < 2; i += 1) {
      const failure: Error = await backplane.open('n', listener).then(
        () => new Error('it opened'),
        (error: Error) => error,
      );
      expect(failure).toMatchObject({ name: 'SessionError', code: 'unavailable', cause: { code: 'ECONNREFUSED' } });
      expect(failure.message).not.toMatch(/127|secret|postgres:|ECONN/);
    }
    await proxy.refuse(false);
    await backplane.open('n', listener);
    expect(events).toEqual(['connected']);
    await backplane.close();
    await proxy.close();
  });

  it('open/black-hole: a server that never answers is a failure within the deadline', async () => {
    const proxy = await TcpProxy.start(server);
    proxy.blackhole('both');
    const connectionString = proxy.url(server.url);
    const backplane = makeBackplane(new PostgresConnection({ connectionString, callTimeoutMs: 500 }));
    const started = performance.now();
    await expect(backplane.open('n', listen().listener)).rejects.toMatchObject({
      code: expect.stringMatching(/unavailable|timeout/),
    });
    expect(performance.now() - started).toBeLessThan(8_000);
    await backplane.close();
    await proxy.close();
  });

  it('open/refused: wrong passwords and databases are refusals that name what to check', async () => {
    const wrongPassword = server.url.replace('top-secret-password', 'wrong');
    const failure = (connectionString: string): Promise<Error> =>
      makeBackplane(new PostgresConnection({ connectionString }))
        .open('n', listen().listener)
        .then(
          () => new Error('it opened'),
          (error: Error) => error,
        );
    const password = await failure(wrongPassword);
    expect(password).toMatchObject({ code: 'refused', message: expect.stringContaining('password') });
    const database = await failure(Object.assign(new URL(server.url), { pathname: '/nowhere' }).href);
    expect(database).toMatchObject({ code: 'refused', message: expect.stringContaining('connectionString') });
    for (const { message } of [password, database]) expect(message).not.toMatch(/wrong|nowhere|127/);
  });
});

describe('openings that fail', () => {
  it('open/nothing-left: what could not be opened leaves no listening connection behind', async () => {
    const url = await server.createDatabase();
    const backplane = makeBackplane(new PostgresConnection({ connectionString: url, create: false }));
    await expect(backplane.open('n', listen().listener)).rejects.toMatchObject({ code: 'schema-missing' });
    await waitFor(async () => (await connections(url)).every(({ query }) => !query.includes('listen')));
    await backplane.close();
    await waitFor(async () => (await connections(url)).length === 0);
  });

  it('open/one-of-two: a namespace that cannot be opened does not disturb another one', async () => {
    const url = await server.createDatabase();
    const connection = new PostgresConnection({ connectionString: url });
    const node = await openBackplane(connection, { namespace: 'good' });
    const bad = makeBackplane(connection, { namespace: 'bad' });
    await queryOnce(url, "alter table tmcp_sessions_head add constraint no_bad check (ns <> 'bad')");
    await expect(bad.open('n', listen().listener)).rejects.toMatchObject({ code: 'refused' });
    await new Producer(node).append([frame('a', 'x')]);
    await waitFor(() => node.heard.parts.length === 1);
    expect(node.heard.events).toEqual(['connected']);
    await queryOnce(url, 'alter table tmcp_sessions_head drop constraint no_bad');
    const { listener, events } = listen();
    await bad.open('n', listener);
    expect(events).toEqual(['connected']);
  });

  it('open/closed-meanwhile: a backplane that is closed while it opens rejects and leaves nothing', async () => {
    const url = await server.createDatabase();
    const backplane = makeBackplane(new PostgresConnection({ connectionString: url }));
    const opening = backplane.open('n', listen().listener).then(
      () => 'opened',
      (error: { code?: string }) => error.code,
    );
    await backplane.close();
    expect(await opening).toBe('closed');
    await waitFor(async () => (await connections(url)).length === 0);
  });
});
