import { HttpTransport } from '@tmcp/transport-http';
import { Client, Pool } from 'pg';
import { type KitPostgres, kitPostgres, queryOnce, startPgBouncer } from 'test-support';
import { McpServer } from 'tmcp';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { callsOfQueryable } from '../../src/info-calls.ts';
import { PostgresConnection } from '../../src/postgres-connection.ts';
import { PostgresInfoStore } from '../../src/postgres-info-store.ts';
import { DEFAULT_INFO_TABLES } from '../../src/schema/info-names.ts';
import { CLIENT, openInfo } from './info-harness.ts';

let postgres: KitPostgres;
let pool: Pool;
let statements: string[];
let counted: { query(text: string, values?: unknown[]): Promise<unknown> };

beforeAll(async () => {
  postgres = await kitPostgres();
});
afterAll(() => postgres.stop());

beforeEach(() => {
  pool = new Pool({ connectionString: postgres.url });
  statements = [];
  counted = {
    query: (text, values) => {
      statements.push(text);
      return pool.query(text, values);
    },
  };
});
afterEach(() => pool.end());

function post(body: object): Request {
  return new Request('http://localhost/mcp', {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      'mcp-session-id': 's',
    },
    body: JSON.stringify(body),
  });
}

describe('round trips', () => {
  it('info-cost/post: the three reads of a POST are one statement', async () => {
    const server = new McpServer(
      { name: 'server', version: '1', description: 'test' },
      { adapter: undefined, capabilities: { tools: {}, logging: {} } },
    );
    server.tool({ name: 'who', description: 'who calls' }, () => ({
      content: [{ type: 'text', text: JSON.stringify(server.ctx.sessionInfo) }],
    }));
    const info = openInfo({ pool: counted });
    const transport = new HttpTransport(server, { path: '/mcp', sessionManager: { info } });
    const call = async (method: string, params: object): Promise<string> =>
      (await (await transport.respond(post({ jsonrpc: '2.0', id: 1, method, params })))?.text()) ?? '';
    await call('initialize', { protocolVersion: '2025-06-18', capabilities: { roots: {} }, clientInfo: CLIENT });
    await call('logging/setLevel', { level: 'error' });
    expect(await info.getLogLevel('s')).toBe('error');
    for (let n = 0; n < 3; n += 1) {
      statements.length = 0;
      const answer = await call('tools/call', { name: 'who', arguments: {} });
      expect(answer).toContain(String.raw`\"clientCapabilities\":{\"roots\":{}}`);
      expect(answer).toContain(String.raw`\"logLevel\":\"error\"`);
      expect(statements).toHaveLength(1);
    }
    expect(info.codes).toEqual([]);
  });

  it('info-cost/write: every other call is one statement', async () => {
    const info = openInfo({ pool: counted });
    await info.setClientInfo('s', CLIENT);
    for (const call of [
      () => info.setClientInfo('s', CLIENT),
      () => info.setLogLevel('s', 'info'),
      () => info.addSubscription('s', 'test://r'),
      () => info.getSubscriptions('test://r'),
      () => info.removeSubscription('s', 'test://r'),
      () => info.delete('s'),
    ]) {
      statements.length = 0;
      await call();
      expect(statements.filter((text) => !text.includes('pg_try_advisory'))).toHaveLength(1);
    }
  });

  it('info-cost/renewal: reading a session that was used a moment ago writes nothing', async () => {
    const info = openInfo({ connectionString: postgres.url });
    await info.setClientInfo('reader', CLIENT);
    const version = () =>
      queryOnce(postgres.url, "select xmin::text from tmcp_session_client_info_lifetimes where id = 'reader'");
    const before = await version();
    for (let n = 0; n < 5; n += 1) await info.getClientInfo('reader');
    expect(await version()).toEqual(before);
  });
});

describe('what the application has', () => {
  it('info-driver/pool: is used and not ended, and gets its listeners back', async () => {
    const info = openInfo({ pool });
    await info.setClientInfo('s', CLIENT);
    expect(pool.totalCount).toBeGreaterThan(0);
    await info.close();
    expect(pool.listenerCount('error')).toBe(0);
    expect((await pool.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
  });

  it('info-driver/types: parsers and row modes of the application change nothing', async () => {
    const odd = new Pool({
      connectionString: postgres.url,
      types: { getTypeParser: () => (value: string) => `<${value}>` } as never,
    });
    const info = openInfo({ pool: odd });
    await info.setLogLevel('odd', 'alert');
    expect(await info.getLogLevel('odd')).toBe('alert');
    await info.close();
    await odd.end();
  });

  it('info-driver/client: a single connection is asked one thing at a time', async () => {
    const client = new Client({ connectionString: postgres.url });
    await client.connect();
    let running = 0;
    let most = 0;
    const watched = Object.assign(Object.create(client) as Client, {
      query: async (text: string, values: unknown[]) => {
        running += 1;
        most = Math.max(most, running);
        return client.query(text, values).finally(() => {
          running -= 1;
        });
      },
    });
    const info = openInfo({ pool: watched });
    await Promise.all(Array.from({ length: 20 }, (_, i) => info.setClientInfo(`c${i}`, CLIENT)));
    expect(most).toBe(1);
    await info.close();
    await client.end();
  });

  it('info-driver/shared: the connections of the other managers will do', async () => {
    const connection = new PostgresConnection({ pool });
    const info = openInfo({ pool: connection });
    await info.setClientInfo('shared', CLIENT);
    expect(await info.getClientInfo('shared')).toEqual(CLIENT);
    expect(info.codes).toEqual([]);
  });

  it('info-driver/own: a pool of our own is small, and ended', async () => {
    const database = await postgres.createDatabase();
    const name = new URL(database).pathname.slice(1);
    const connections = async () =>
      (await queryOnce(postgres.url, 'select pid from pg_stat_activity where datname = $1', [name])).length;
    const info = openInfo({ connectionString: database });
    await Promise.all(Array.from({ length: 100 }, (_, i) => info.setClientInfo(`s${i}`, CLIENT)));
    expect(await connections()).toBeLessThanOrEqual(4);
    await info.close();
    await expect.poll(connections).toBe(0);
  });

  it('info-driver/pooler: transactions of a pooler are all it needs', async () => {
    await using pooler = await startPgBouncer({ url: await postgres.createDatabase(), poolSize: 2 });
    const managers = [openInfo({ connectionString: pooler.url }), openInfo({ connectionString: pooler.url })] as const;
    for (let round = 0; round < 20; round += 1) {
      await managers[0].setClientInfo(`s${round}`, CLIENT);
      await managers[0].addSubscription(`s${round}`, 'test://r');
      expect(await managers[1].getClientInfo(`s${round}`)).toEqual(CLIENT);
    }
    expect(await managers[1].getSubscriptions('test://r')).toHaveLength(20);
    expect(managers.flatMap(({ codes }) => codes)).toEqual([]);
    await Promise.all(managers.map((manager) => manager.close()));
  });
});

describe.each(['repeatable read', 'serializable'])('isolation level %s', (level) => {
  it('info-isolation: collisions are tried again, and nothing is lost', async () => {
    const database = await postgres.createDatabase();
    await queryOnce(
      database,
      `alter database "${new URL(database).pathname.slice(1)}" set default_transaction_isolation = '${level}'`,
    );
    const managers = Array.from({ length: 4 }, () => openInfo({ connectionString: database }));
    await Promise.all(
      managers.flatMap((manager, m) =>
        Array.from({ length: 10 }, (_, i) => manager.addSubscription('s', `test://${m}/${i}`)),
      ),
    );
    await Promise.all(managers.map((manager) => manager.setLogLevel('s', 'debug')));
    for (let m = 0; m < 4; m += 1) {
      for (let i = 0; i < 10; i += 1) expect(await managers[0]?.getSubscriptions(`test://${m}/${i}`)).toEqual(['s']);
    }
    expect(managers.flatMap(({ codes }) => codes)).toEqual([]);
  });
});

describe('cleaning up', () => {
  it('info-clean-up: what expired is removed in steps, by one process at a time', async () => {
    const database = await postgres.createDatabase();
    const owner = new Pool({ connectionString: database });
    const open = (infoTtlMs: number) =>
      new PostgresInfoStore({
        calls: callsOfQueryable(owner, 10_000),
        tables: DEFAULT_INFO_TABLES,
        schema: undefined,
        create: true,
        namespace: 'n',
        infoTtlMs,
        sendTimeoutMs: 10_000,
        onError: (error) => expect.unreachable(error.message),
        end: async () => undefined,
      });
    const [short, long] = [open(1), open(60_000)];
    await long.write('kept', 'clientInfo', '{}', () => 0);
    await long.subscribe('kept', 'test://r', () => 0);
    await long.delete('tombstone', () => 0);
    await short.write('expired', 'clientInfo', '{}', () => 0);
    await short.subscribe('expired', 'test://r', () => 0);
    await queryOnce(
      database,
      `insert into tmcp_session_client_info_lifetimes select 'n', 'old' || i, now(), '-infinity', now() from generate_series(1, 1200) i`,
    );
    const removed = await Promise.all([short.removeExpired(), long.removeExpired(), short.removeExpired()]);
    const rest = await long.removeExpired();
    expect(removed.reduce((sum, count) => sum + count, rest)).toBe(1_201);
    expect(await queryOnce(database, 'select id from tmcp_session_client_info_lifetimes order by id')).toEqual([
      { id: 'kept' },
      { id: 'tombstone' },
    ]);
    expect(await queryOnce(database, 'select id from tmcp_session_client_info')).toEqual([{ id: 'kept' }]);
    expect(await queryOnce(database, 'select id from tmcp_session_subscriptions')).toEqual([{ id: 'kept' }]);
    await owner.end();
  });
});
