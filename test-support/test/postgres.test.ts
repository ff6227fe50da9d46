import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  kitPostgres,
  type PostgresServer,
  pgBouncer,
  queryOnce,
  startPgBouncer,
  startPostgres,
  systemPostgres,
} from '../src/index.ts';
import { describeWith } from '../src/vitest.ts';

describe('postgres: embedded', () => behavesLikeAServer('embedded'));

describeWith(systemPostgres, 'postgres: system', () => behavesLikeAServer('system'));

function behavesLikeAServer(distribution: 'embedded' | 'system'): void {
  let server: PostgresServer;

  beforeAll(async () => {
    server = await startPostgres({ distribution, settings: { application_name: 'told' } });
    await server.query('create table numbers (n int)');
  });
  afterAll(() => server.stop());

  const numbers = async (): Promise<unknown[]> =>
    (await server.query('select n from numbers order by n')).map((row) => row.n);

  it(`postgres/${distribution}/settings: takes settings and needs the password`, async () => {
    expect(await server.query('show application_name')).toEqual([{ application_name: 'told' }]);
    const wrong = Object.assign(new URL(server.url), { password: 'wrong' }).href;
    await expect(queryOnce(wrong, 'select 1')).rejects.toThrow('password authentication failed');
  });

  it(`postgres/${distribution}/role: a new role may log in and not create tables`, async () => {
    const url = await server.createRole(await server.createDatabase());
    await expect(queryOnce(url, 'create table public.t ()')).rejects.toThrow('permission denied');
  });

  it(`postgres/${distribution}/restarts: keeps its data and its port through restart and crash`, async () => {
    await server.query('insert into numbers values (1)');
    await server.restart();
    await server.query('insert into numbers values (2)');
    await server.crashRestart();
    expect(await numbers()).toEqual([1, 2]);
    expect(server.log).toContain('not properly shut down');
  });

  it(`postgres/${distribution}/freeze: answers nobody until it is thawed`, async () => {
    server.freeze();
    let answered = false;
    const waiting = server.query('select 1').then(() => {
      answered = true;
    });
    await new Promise((resolve) => setTimeout(resolve, 100)); // Long enough for an answer that should not come.
    expect(answered).toBe(false);
    server.thaw();
    await waiting;
  });

  it(`postgres/${distribution}/roll-back: restores the data of a snapshot`, async () => {
    const before = await numbers();
    const snapshot = await server.snapshot();
    await server.query('insert into numbers values (3)');
    await server.restore(snapshot);
    expect(await numbers()).toEqual(before);
  });

  it(`postgres/${distribution}/terminate: ends the connections that a condition chooses`, async () => {
    const client = new Client({ connectionString: server.url });
    const ended = new Promise((resolve) => client.on('error', resolve));
    await client.connect();
    await client.query('listen news');
    expect(await server.terminate(`query = 'listen news'`)).toBe(1);
    await expect(ended).resolves.toMatchObject({ code: '57P01' });
  });
}

it('postgres/kit: gives databases of their own and takes them away', async () => {
  await using server = await startPostgres();
  const { TEST_POSTGRES_URL } = process.env;
  process.env.TEST_POSTGRES_URL = server.url;
  const databases = async (): Promise<number> => (await server.query('select from pg_database')).length;
  try {
    const before = await databases();
    const kit = await kitPostgres();
    expect(kit.source).toBe('TEST_POSTGRES_URL');
    await queryOnce(kit.url, 'create table t ()');
    await queryOnce(await kit.createDatabase(), 'create table t ()');
    await kit.stop();
    expect(await databases()).toBe(before);
  } finally {
    if (TEST_POSTGRES_URL === undefined) delete process.env.TEST_POSTGRES_URL;
    else process.env.TEST_POSTGRES_URL = TEST_POSTGRES_URL;
  }
});

describeWith(pgBouncer, 'pgbouncer', () => {
  it('pgbouncer/transaction: hands a transaction a connection that others use in between', async () => {
    await using server = await startPostgres();
    await using pooler = await startPgBouncer({ url: server.url, poolSize: 1 });
    const pid = async (client: Client): Promise<unknown> =>
      (await client.query('select pg_backend_pid() as pid')).rows[0]?.pid;
    const clients = [pooler.url, pooler.url].map((connectionString) => new Client({ connectionString }));
    try {
      await Promise.all(clients.map((client) => client.connect()));
      const pids = await Promise.all(clients.map(pid));
      expect(pids[0]).toBe(pids[1]);
    } finally {
      await Promise.all(clients.map((client) => client.end()));
    }
  });
});
