import { inspect } from 'node:util';
import { Client, type Pool } from 'pg';
import { freePort, type PostgresServer, queryOnce, startPostgres, TcpProxy } from 'test-support';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { poolConnection } from '../../src/sql/pool-connection.ts';
import { installTable, KEY, makeDriver, newRecord, openPool } from '../sql-harness.ts';

const PASSWORD = 'top-secret-password'; // Of every server of the tests.
const TOKEN = 'secret-token-value';

let server: PostgresServer;
let proxy: TcpProxy;
let url: string;
let pool: Pool;

beforeAll(async () => {
  server = await startPostgres();
  url = await server.createDatabase();
  await installTable(url);
});
afterAll(() => server.stop());
beforeEach(async () => {
  proxy = await TcpProxy.start({ host: server.host, port: server.port });
  pool = openPool({ connectionString: proxy.url(url), max: 3 });
  await queryOnce(url, 'truncate public.mcp_sessions');
});
afterEach(async () => {
  await pool.end();
  await proxy.close();
});

const update = { kind: 'content', set: { serverName: '"changed"' }, unset: [] } as const;
const record = newRecord({ fields: { ...newRecord().fields, tokens: JSON.stringify({ access_token: TOKEN }) } });

async function failure(promise: Promise<unknown>): Promise<Record<string, unknown>> {
  const error: unknown = await promise.then(
    (value) => {
      throw new Error(`resolved with ${inspect(value)}`);
    },
    (reason: unknown) => reason,
  );
  // Whatever it is, it shows nothing.
  const shown = inspect(error, { depth: 10, showHidden: true, getters: true }) + JSON.stringify(error);
  for (const secret of [PASSWORD, TOKEN]) expect(shown).not.toContain(secret);
  return error as Record<string, unknown>;
}

/** Somebody else holds the row, so that writes to it wait. */
async function whileRowIsHeld(use: (blocked: () => Promise<number | null>) => Promise<void>): Promise<void> {
  const holder = new Client({ connectionString: url });
  await holder.connect();
  try {
    await holder.query('begin');
    await holder.query('select from public.mcp_sessions for update');
    const waiting = `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`;
    await use(async () => (await holder.query(waiting)).rowCount);
  } finally {
    await holder.end();
  }
}

const backends = `select pid from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()`;
const terminate = (): Promise<unknown> => queryOnce(url, `select pg_terminate_backend(pid) from (${backends}) as b`);

describe('server down', () => {
  it('faults/down: every operation rejects with unavailable, writes as not applied', async () => {
    const nobody = openPool({ connectionString: `postgresql://u:${PASSWORD}@127.0.0.1:${await freePort()}/db` });
    const driver = makeDriver(poolConnection(nobody));
    const calls: [string, () => Promise<unknown>, string | undefined][] = [
      ['init', () => driver.init(), undefined],
      ['create', () => driver.insert(record), 'not-applied'],
      ['update', () => driver.patch(KEY, update), 'not-applied'],
      ['touch', () => driver.patch(KEY, { kind: 'touch', set: {}, unset: [] }), 'not-applied'],
      ['get', () => driver.read(KEY, []), undefined],
      ['list', () => driver.readUser('user', { fields: [], limit: 1, after: undefined }), undefined],
      ['listIds', () => driver.listIds('user'), undefined],
      ['delete', () => driver.remove(KEY), 'not-applied'],
      ['withLock', () => driver.acquireLease(KEY, 'a', 1), 'not-applied'],
      ['withLock', () => driver.releaseLease(KEY, 'a'), 'not-applied'],
      ['sweep', () => driver.sweep(1), 'not-applied'],
      ['clearAll', () => driver.clear(), 'not-applied'],
      ['health', () => driver.ping(), undefined],
      ['listAllIds', async () => driver.scan()[Symbol.asyncIterator]().next(), undefined],
    ];
    await Promise.all(
      calls.map(async ([name, call, outcome]) => {
        expect(await failure(call())).toMatchObject({
          code: 'unavailable',
          message: `Storage backend postgres is unavailable: ${name} failed`,
          retryable: true,
          outcome,
          cause: { code: 'ECONNREFUSED' },
        });
      }),
    );
    await nobody.end();
  });

  it('faults/refused-login: a wrong password or database is told as such, without them', async () => {
    for (const [state, wrong] of [
      ['28P01', { password: 'wrong-password' }],
      ['3D000', { pathname: '/nowhere' }],
    ] as const) {
      const address: URL = Object.assign(new URL(url), wrong);
      const other = openPool({ connectionString: address.href });
      const error = await failure(makeDriver(poolConnection(other)).insert(record));
      expect(error).toMatchObject({
        code: 'config',
        message: `The postgres backend was refused by the server (SQLSTATE ${state}): check user, password and database`,
        outcome: 'not-applied',
      });
      expect(inspect(error)).not.toContain('wrong-password');
      await other.end();
    }
  });
});

describe('connections that break', () => {
  it('faults/terminated: after the server ended all connections, the next calls work', async () => {
    const driver = makeDriver(poolConnection(pool));
    await driver.insert(record);
    for (let round = 0; round < 3; round += 1) {
      await Promise.all(Array.from({ length: 3 }, () => driver.listIds('user')));
      await terminate();
      expect(await driver.listIds('user')).toEqual(['session']);
    }
  });

  it('faults/cut-while-writing: nobody knows whether an update was applied; reads are tried again', async () => {
    const driver = makeDriver(poolConnection(pool));
    await driver.insert(record);
    await whileRowIsHeld(async (blocked) => {
      const waiting = failure(driver.patch(KEY, update));
      await expect.poll(blocked).toBe(1);
      proxy.cutAll();
      expect(await waiting).toMatchObject({ code: 'unavailable', outcome: 'unknown' });
    });
    expect((await driver.read(KEY, []))?.sessionId).toBe('session');
  });

  it('faults/slow: a server that does not answer in time is told with the time; later it works again', async () => {
    await makeDriver(poolConnection(pool)).insert(record);
    const driver = makeDriver(poolConnection(pool), { operationTimeoutMs: 1_000 });
    await whileRowIsHeld(async () => {
      expect(await failure(driver.patch(KEY, update))).toMatchObject({
        code: 'unavailable',
        message: 'Storage backend postgres is unavailable: update timed out after 1000 ms',
        outcome: 'unknown',
      });
      // What was given up does not keep connections of the pool.
      await expect.poll(() => pool.totalCount - pool.idleCount).toBe(0);
    });
    // The statement that was given up may go through now, or not: that is what "unknown" says.
    expect(await makeDriver(poolConnection(pool)).patch(KEY, update)).toMatchObject({ version: expect.any(Number) });
  });

  it('faults/frozen: a server that stands still is told in time, and works when it goes on', async () => {
    await makeDriver(poolConnection(pool)).insert(record);
    const driver = makeDriver(poolConnection(pool), { operationTimeoutMs: 1_000 });
    server.freeze();
    try {
      expect(await failure(driver.read(KEY, []))).toMatchObject({
        message: expect.stringContaining('get timed out after'),
      });
      expect(await failure(driver.patch(KEY, update))).toMatchObject({ code: 'unavailable' });
    } finally {
      server.thaw();
    }
    await expect.poll(() => driver.listIds('user').catch(() => 'not yet')).toEqual(['session']);
  });

  it('faults/statement-timeout: what the server cancelled was not applied', async () => {
    // The row is made by somebody who may take his time.
    await makeDriver(poolConnection(pool)).insert(record);
    const hasty = openPool({ connectionString: url, options: '-c statement_timeout=100' });
    const driver = makeDriver(poolConnection(hasty));
    await whileRowIsHeld(async () => {
      expect(await failure(driver.patch(KEY, update))).toMatchObject({
        code: 'unavailable',
        message: expect.stringMatching(/update timed out after \d+ ms$/),
        outcome: 'not-applied',
      });
    });
    expect(hasty.totalCount).toBe(hasty.idleCount);
    await hasty.end();
  });

  it('faults/no-connection-free: a pool that is used up times out as well, and its connection is given back', async () => {
    const driver = makeDriver(poolConnection(pool), { operationTimeoutMs: 200 });
    const taken = await Promise.all(Array.from({ length: 3 }, () => pool.connect()));
    expect(await failure(driver.insert(record))).toMatchObject({ code: 'unavailable' });
    for (const client of taken) client.release();
    await expect.poll(() => pool.idleCount).toBe(3);
    expect(await makeDriver(poolConnection(pool)).insert(record)).toBe('ok');
  });
});

describe('answers that are lost', () => {
  const isInsert = (bytes: Buffer): boolean => bytes.includes('insert into');
  const isUpdate = (bytes: Buffer): boolean => bytes.includes('update "public"');

  it('faults/create-answer-lost: finds its own row', async () => {
    const driver = makeDriver(poolConnection(pool));
    await driver.init();
    const swallowed = proxy.swallowAnswerAfter(isInsert);
    expect(await driver.insert(record)).toBe('ok');
    await swallowed;
    expect(await queryOnce(url, 'select from public.mcp_sessions')).toHaveLength(1);
  });

  it('faults/update-answer-lost: was applied, and says that nobody knows', async () => {
    const driver = makeDriver(poolConnection(pool));
    await driver.insert(record);
    const swallowed = proxy.swallowAnswerAfter(isUpdate);
    expect(await failure(driver.patch(KEY, update))).toMatchObject({ code: 'unavailable', outcome: 'unknown' });
    await swallowed;
    const [row] = await queryOnce(url, 'select server_name from public.mcp_sessions');
    expect(row).toEqual({ server_name: 'changed' });
  });
});

describe('transactions that meet', () => {
  it('faults/serialization: under a strict default isolation everything is tried again until it went through', async () => {
    const strict = openPool({ connectionString: url, options: '-c default_transaction_isolation=serializable' });
    const driver = makeDriver(poolConnection(strict));
    await driver.insert(record);
    const before = (await driver.read(KEY, []))?.version ?? 0;
    await Promise.all(Array.from({ length: 10 }, () => driver.patch(KEY, update)));
    expect((await driver.read(KEY, []))?.version).toBe(before + 10);
    await strict.end();
  });
});

describe('secrets', () => {
  it('faults/constraint: a server that quotes the whole row shows nothing of it', async () => {
    await queryOnce(url, 'alter table public.mcp_sessions add constraint never check (server_name is null)');
    const driver = makeDriver(poolConnection(pool));
    // "Failing row contains (…)" stands in the detail of the error.
    expect(await failure(driver.insert({ ...record, fields: { ...record.fields, serverName: '"x"' } }))).toMatchObject({
      code: 'unavailable',
      outcome: 'not-applied',
      cause: { code: '23514' },
    });
    const broken = { ...record, fields: { ...record.fields, tokens: `{"access_token": "${TOKEN}"` } };
    expect(await failure(driver.insert(broken))).toMatchObject({ outcome: 'not-applied', cause: { code: '22P02' } });
    await queryOnce(url, 'alter table public.mcp_sessions drop constraint never');
  });

  it('faults/raised: a trigger of others that raises an error with the row shows nothing of it', async () => {
    await queryOnce(
      url,
      `create function public.complain() returns trigger language plpgsql as 'begin raise exception ''row %'', new; end';
       create trigger complain before insert on public.mcp_sessions for each row execute function public.complain()`,
    );
    const driver = makeDriver(poolConnection(pool));
    expect(await failure(driver.insert(record))).toMatchObject({ cause: { code: 'P0001' }, outcome: 'not-applied' });
    await queryOnce(url, 'drop function public.complain() cascade');
  });
});

describe('clients', () => {
  it('clients/stay-open: a pool that was handed in is not ended, and gets all connections back', async () => {
    const driver = makeDriver(poolConnection(pool));
    await driver.insert(record);
    await driver.close();
    await driver.close();
    expect(pool.totalCount).toBe(pool.idleCount);
    expect((await pool.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
  });
});
