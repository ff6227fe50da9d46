import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type PostgresServer, queryOnce, type RedisServer, redisOnce, startPostgres, startRedis } from 'test-support';
import type { Block } from 'test-support/readme';
import type { SessionStore } from '../src/index.ts';
import { ADMIN_ROLE } from './neon/neon-harness.ts';
import { NeonProxy } from './neon/support/neon-proxy.ts';
import { installRole, installTable, installTenantPolicy } from './sql-harness.ts';

const CLI = fileURLToPath(new URL('../src/cli.ts', import.meta.url));
const USE_PROXY = new URL('./neon/programs/use-proxy.ts', import.meta.url).href;
export const KEY: string = '5c'.repeat(32);

/** A session as `@mcp-ts/sdk` 1.6.1 writes it, to a file in a list and to Redis one by one. */
export const EARLIER: Readonly<
  Record<'sessionId' | 'identity' | 'serverUrl' | 'callbackUrl' | 'transportType', string>
> & {
  readonly createdAt: number;
  readonly active: boolean;
  readonly tokens: Readonly<Record<string, string>>;
} = {
  sessionId: 'earlier-session',
  identity: 'user-123',
  serverUrl: 'https://mcp.example.com/mcp',
  callbackUrl: 'https://app.example.com/oauth/callback',
  transportType: 'streamable_http',
  createdAt: Date.now() - 86_400_000,
  active: true,
  tokens: { access_token: 'at-earlier', token_type: 'Bearer', refresh_token: 'rt-earlier' },
};

/** Every backend, for the programs of the documents. */
export class Places {
  static async start(): Promise<Places> {
    const postgres = await startPostgres();
    const redis = await startRedis({ settings: { appendonly: 'yes' } });
    return new Places(postgres, redis, await NeonProxy.start(postgres.url));
  }

  readonly postgres: PostgresServer;
  readonly redis: RedisServer;
  readonly #proxy: NeonProxy;
  readonly #folder: string = mkdtempSync(join(tmpdir(), 'readme-'));

  private constructor(postgres: PostgresServer, redis: RedisServer, proxy: NeonProxy) {
    this.postgres = postgres;
    this.redis = redis;
    this.#proxy = proxy;
  }

  async stop(): Promise<void> {
    await this.#proxy.close();
    await Promise.all([this.postgres.stop(), this.redis.stop()]);
    rmSync(this.#folder, { recursive: true });
  }

  /** What the environment of a program has to say so that it works, judged by what the program reads. */
  async environmentOf({ text }: Block, page: string): Promise<Record<string, string>> {
    const env: Record<string, string> = {};
    if (text.includes('allowPlaintextReads')) env.STORAGE_ENCRYPTION_KEY = KEY;
    if (text.includes('MCP_TS_STORAGE_FILE')) env.MCP_TS_STORAGE_FILE = this.earlierFile();
    if (text.includes('REDIS_URL')) env.REDIS_URL = this.redis.url;
    if (text.includes('mcp:session:')) await this.addEarlierToRedis();
    if (!text.includes('DATABASE_URL') && page !== 'neon') return env;
    const tenants = text.includes("'tenant'");
    const { role, admin } = await this.database(tenants);
    if (page !== 'neon') return { ...env, DATABASE_URL: role, DATABASE_ADMIN_URL: admin };
    return { ...env, ...this.neon(role), NEON_ADMIN_DATABASE_URL: this.#proxy.urlOf(admin) };
  }

  /** With the table, and with addresses of roles that may use it. */
  async database(tenants = false): Promise<{ url: string; role: string; admin: string }> {
    const url = await this.postgres.createDatabase();
    await installTable(url);
    const [role, admin] = [await installRole(url), await installRole(url, ADMIN_ROLE)];
    if (tenants) await installTenantPolicy(url, ADMIN_ROLE);
    return { url, role, admin };
  }

  neon(role: string): Record<string, string> {
    return { NEON_DATABASE_URL: this.#proxy.urlOf(role), NODE_OPTIONS: `--import ${USE_PROXY}` };
  }

  newFile(): string {
    return join(this.#folder, `${randomBytes(4).toString('hex')}.json`);
  }

  earlierFile(): string {
    const path = this.newFile();
    writeFileSync(path, JSON.stringify([EARLIER]), { mode: 0o600 });
    return path;
  }

  async addEarlierToRedis(): Promise<void> {
    const { identity, sessionId } = EARLIER;
    await redisOnce(this.redis.url, ['set', `mcp:session:${identity}:${sessionId}`, JSON.stringify(EARLIER)]);
  }

  /**
   * Runs the SQL of a document as an administrator, then everything else with the roles that it speaks of. Roles belong to
   * the whole server, so each run has its own.
   */
  async applySql(sql: string): Promise<{ role: string; admin: string }> {
    const suffix = randomBytes(4).toString('hex');
    const [service, administrator] = [`mcp_service_role_${suffix}`, `${ADMIN_ROLE}_${suffix}`];
    const url = await this.postgres.createDatabase();
    await installTable(url);
    if (!sql.includes('CREATE ROLE mcp_service_role')) await installRole(url, service);
    await queryOnce(url, sql.replaceAll('mcp_service_role', service).replaceAll(ADMIN_ROLE, administrator));
    const urlOf = (username: string): string => Object.assign(new URL(url), { username, password: 'x' }).href;
    for (const name of [service, administrator]) {
      const [found] = await queryOnce(url, 'select from pg_roles where rolname = $1', [name]);
      if (found !== undefined) await queryOnce(url, `alter role ${name} password 'x'`);
    }
    return { role: urlOf(service), admin: urlOf(administrator) };
  }
}

/** What the command line prints. */
export async function commandLine(args: readonly string[], DATABASE_URL = ''): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, [CLI, ...args], {
    env: { ...process.env, NEON_DATABASE_URL: '', DATABASE_URL },
  });
  return stdout;
}

/** Calls everything that needs a right of its own. */
export async function useEverything(store: SessionStore): Promise<void> {
  const userId = 'user-123';
  const sessionId = store.generateSessionId();
  const tokens = { access_token: 'at-1', token_type: 'Bearer', refresh_token: 'rt-1' };
  await store.init();
  await store.create({
    sessionId,
    userId,
    serverUrl: 'https://mcp.example.com/mcp',
    callbackUrl: 'https://app.example.com/oauth/callback',
    transportType: 'sse',
    createdAt: Date.now(),
    status: 'active',
    tokens,
    oauthState: { nonce: 'n', createdAt: Date.now() },
  });
  await store.update(userId, sessionId, { serverName: 'Notes', authUrl: null });
  await store.touch(userId, sessionId);
  const { source } = await store.refreshTokens(userId, sessionId, async () => ({ ...tokens, access_token: 'at-2' }));
  const found = [
    source,
    await store.withLock(userId, sessionId, async () => 'locked'),
    (await store.consumeOAuthState(userId, sessionId, 'n'))?.nonce,
    (await store.getCredentials(userId, sessionId))?.tokens?.access_token,
    (await store.list(userId)).length,
    (await store.listIds(userId)).length,
    (await store.listAllIds()).length,
    (await store.rekey()).rewritten,
    (await store.health()).ok,
  ];
  const expected = ['refreshed', 'locked', 'n', 'at-2', 1, 1, 1, 0, true];
  if (JSON.stringify(found) !== JSON.stringify(expected)) throw new Error(`it found ${JSON.stringify(found)}`);
  await store.cleanupExpired();
  await store.delete(userId, sessionId);
  await store.clearAll();
}
