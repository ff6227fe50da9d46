import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Client, Pool } from 'pg';
import { openSsl, queryOnce, redisOnce, requireService, startRedis } from 'test-support';
import { describeReadme, Markdown, quotedInColumn, typeErrorsOf } from 'test-support/readme';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  createPostgresStorageBackend,
  createRedisStorageBackend,
  FileStorageBackend,
  MemoryStorageBackend,
  type RedisStorageBackend,
  type SessionStoreError,
} from '../src/index.ts';
import { selectBackend } from '../src/select-backend.ts';
import { MIGRATIONS } from '../src/sql/migrations/migrations.ts';
import { commandLine, EARLIER, KEY, Places, useEverything } from './readme-places.ts';

const ROOT = new URL('../', import.meta.url);
const PAGES = ['memory', 'file', 'redis', 'postgres', 'neon'];
const read = (path: string): string => readFileSync(new URL(path, ROOT), 'utf8');
const readme = new Markdown(read('README.md'));
const pageOf = (name: string): Markdown => new Markdown(read(`docs/${name}.md`));

let places: Places;
beforeAll(async () => {
  places = await Places.start();
});
afterAll(() => places.stop());

const urlOf = (page: string): URL => new URL(page === 'README' ? 'README.md' : `docs/${page}.md`, ROOT);

it('the code of all pages compiles', { timeout: 60_000 }, async () => {
  expect(await typeErrorsOf(ROOT, ['README', ...PAGES].map(urlOf))).toBe('');
});

describe.each(['README', ...PAGES])('%s.md', (page) => {
  describeReadme({
    readme: urlOf(page),
    compile: false,
    root: ROOT,
    env: (block) => places.environmentOf(block, page),
    filter: 'create-',
    sql: async ({ text }) => {
      const { role, admin } = await places.applySql(text);
      const pools = [role, admin].map((connectionString) => new Pool({ connectionString, max: 2 }));
      const [pool, adminPool] = pools as [Pool, Pool];
      const tenant = text.includes('mcp_sessions_tenant');
      const store = createPostgresStorageBackend(pool, {
        encryption: KEY,
        ...(tenant && { rls: 'tenant', admin: adminPool }),
      });
      await useEverything(store).finally(() => Promise.all(pools.map((each) => each.end())));
    },
    commands: {
      'npm install ': (command) => {
        const { name, peerDependencies } = JSON.parse(read('package.json')) as Record<string, object | string>;
        const known = [name, ...Object.keys(peerDependencies ?? {})];
        expect(known).toEqual(expect.arrayContaining(command.split(' ').slice(2)));
      },
      'export STORAGE_ENCRYPTION_KEY=': async (command) => {
        if (requireService(openSsl) === undefined) return;
        const print = `${command}; printf %s "$STORAGE_ENCRYPTION_KEY"`;
        const { stdout } = await promisify(execFile)('sh', ['-c', print]);
        await new MemoryStorageBackend({ encryption: stdout }).init();
      },
      'export ': (command) => {
        const [, name = '', value] = /^export (\w+)=(?:'(.*)'|.*)$/.exec(command) ?? [];
        const given = value ?? command.slice(command.indexOf('=') + 1);
        const { backend } = selectBackend(
          (asked) => (asked === name ? given : undefined),
          () => {},
        );
        expect(backend).toBe(page);
      },
      'npx tmcp-session-store migrate --cron': async () => {
        // Whether the jobs run is a test of its own: few servers have the extension.
        const sql = await commandLine(['sql', '--cron']);
        const jobs = quotedInColumn(pageOf('postgres'), 'Clean-up');
        expect(jobs).toHaveLength(2);
        for (const job of jobs) expect(sql).toContain(`cron.schedule('${job}'`);
      },
      'npx tmcp-session-store migrate': async () => {
        // The documented table, in use.
        const url = await places.postgres.createDatabase();
        await queryOnce(url, MIGRATIONS[0]?.sql ?? '');
        await queryOnce(
          url,
          `insert into mcp_sessions (session_id, user_id, server_url, transport_type, callback_url, expires_at, active)
          values ('documented', 'user-123', 'https://mcp.example.com', 'sse', 'https://app.example.com', now(), true)`,
        );
        await commandLine(['migrate'], url);
        const pool = new Pool({ connectionString: url, max: 2 });
        const store = createPostgresStorageBackend(pool, { encryption: KEY });
        expect(await store.get('user-123', 'documented')).toMatchObject({ status: 'active', transportType: 'sse' });
        await store.clearAll();
        await useEverything(store).finally(() => pool.end());
      },
      'npx tmcp-session-store status': async () => {
        const url = await places.postgres.createDatabase();
        await commandLine(['migrate'], url);
        const [shown] = pageOf('postgres').blocks.filter(({ language }) => language === 'text');
        expect(await commandLine(['status'], url)).toBe(shown?.text);
        await expect(commandLine(['status'], await places.postgres.createDatabase())).rejects.toMatchObject({
          code: 1,
        });
      },
      'npx tmcp-session-store sql | psql "$DATABASE_URL"': async () => {
        const url = await places.postgres.createDatabase();
        for (let time = 0; time < 2; time += 1) await queryOnce(url, await commandLine(['sql']));
        const client = new Client(url);
        await client.connect();
        await useEverything(createPostgresStorageBackend(client, { encryption: KEY })).finally(() => client.end());
      },
      'redis-cli ACL SETUSER ': async (command) => {
        await using server = await startRedis();
        const [, ...words] = command.split(' ').map((word) => word.replaceAll("'", ''));
        await redisOnce(server.url, words as [string, ...string[]]);
        const password = words.find((word) => word.startsWith('>'))?.slice(1) ?? '';
        const url = Object.assign(new URL(server.url), { username: 'mcp', password }).href;
        const reports: SessionStoreError[] = [];
        const store = await createRedisStorageBackend(url, {
          encryption: KEY,
          onError: (error) => reports.push(error),
        });
        await useEverything(store).finally(() => store.disconnect());
        expect(reports).toEqual([]);
      },
    },
  });
});

/** Runs a block as a program of somebody who has the package. */
async function runBlock(markdown: Markdown, heading: string, env: Readonly<Record<string, string>>): Promise<string> {
  const block = markdown.blocks.find((each) => each.heading === heading && each.language === 'ts');
  const folder = mkdtempSync(join(fileURLToPath(ROOT), '.readme-'));
  try {
    const file = join(folder, 'program.ts');
    writeFileSync(file, block?.text ?? expect.unreachable(heading));
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [file], { env: { ...process.env, ...env } });
    expect(stderr).toBe('');
    return stdout;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe('what the documents say', () => {
  it('the quick start runs on each backend that the environment can choose', async () => {
    const { url, role } = await places.database();
    const file = places.newFile();
    for (const env of [{ MCP_TS_STORAGE_FILE: file }, { REDIS_URL: places.redis.url }, places.neon(role)]) {
      const printed = await runBlock(readme, 'Quick start', env);
      expect(printed).toContain("status: 'active'");
      expect(printed.split('at-1')).toHaveLength(2);
    }
    expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({ format: 1, sessions: [{ userId: 'user-123' }] });
    expect(await queryOnce(url, 'select from mcp_sessions')).toHaveLength(1);
  });

  it('a file of @mcp-ts/sdk is read, and encrypted by the program of the page', async () => {
    const path = places.earlierFile();
    const env = { MCP_TS_STORAGE_FILE: path, STORAGE_ENCRYPTION_KEY: KEY };
    expect(await runBlock(pageOf('file'), 'Migration from @mcp-ts/sdk', env)).toBe('1 sessions were encrypted\n');
    expect(readFileSync(path, 'utf8')).not.toContain('earlier"}');
    expect(readFileSync(path, 'utf8')).not.toContain('rt-earlier');
    const store = new FileStorageBackend({ path, encryption: KEY });
    await expectEarlier(store);
    await store.disconnect();
  });

  it('sessions of @mcp-ts/sdk in Redis are copied, once', async () => {
    await using server = await startRedis();
    const key = `mcp:session:${EARLIER.identity}:${EARLIER.sessionId}`;
    await redisOnce(server.url, ['set', key, JSON.stringify(EARLIER)]);
    const env = { REDIS_URL: server.url, STORAGE_ENCRYPTION_KEY: KEY };
    for (let time = 0; time < 2; time += 1) {
      expect(await runBlock(pageOf('redis'), 'Migration from @mcp-ts/sdk', env)).toBe('1 sessions\n');
    }
    const store = await createRedisStorageBackend(server.url, { encryption: KEY });
    await expectEarlier(store);
    await store.disconnect();
  });

  async function expectEarlier(store: FileStorageBackend | RedisStorageBackend): Promise<void> {
    const { identity, active: _active, ...same } = EARLIER;
    const found = await store.get(identity, EARLIER.sessionId, { includeCredentials: true });
    const expected = { ...same, userId: identity, status: 'active', transportType: 'streamable-http' };
    expect(found).toMatchObject(expected);
  }

  it('schema: columns and migrations', async () => {
    const { url } = await places.database();
    const columns = await queryOnce(
      url,
      "select column_name::text as name from information_schema.columns where table_name = 'mcp_sessions'",
    );
    const listed = quotedInColumn(pageOf('postgres'), 'Schema');
    const expected = [...columns.map(({ name }) => String(name)), ...MIGRATIONS.map(({ name }) => name)];
    expect(listed.sort()).toEqual(expected.sort());
  });
});
