import { PostgresStorageBackend } from '@tmcp/session-store/postgres';

import { type NodeProcess, type PostgresServer, queryOnce, spawnNode, startPostgres } from 'test-support';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { COMPILED } from '../compiled-programs.ts';
import { installTable, openPool } from '../sql-harness.ts';

const WRITERS = 8;
/** Of all processes together, at random moments. */
const KILLS = 64;
const PROGRAM = new URL('./programs/writer.ts', import.meta.url);

let server: PostgresServer;
let url: string;
beforeAll(async () => {
  server = await startPostgres();
  url = await server.createDatabase();
  await installTable(url);
});
afterAll(() => server.stop());

/** What the writers said so far. */
class Told {
  readonly created: Set<string> = new Set();
  readonly deleting: Set<string> = new Set();
  readonly deleted: Set<string> = new Set();
  readonly counts: number[] = [];

  readonly listen = (message: unknown): boolean => {
    const told = message as { created?: string; deleting?: string; deleted?: string; counted?: number };
    if (told.created !== undefined) this.created.add(told.created);
    if (told.deleting !== undefined) this.deleting.add(told.deleting);
    if (told.deleted !== undefined) this.deleted.add(told.deleted);
    if (told.counted !== undefined) this.counts.push(told.counted);
    return true;
  };
}

describe('many processes on one table', () => {
  it('processes/killed-at-random: nothing acknowledged is lost, nothing deleted comes back, leases end', {
    timeout: 120_000,
  }, async () => {
    const pool = openPool({ connectionString: url, max: 2 });
    const store = new PostgresStorageBackend(pool, { encryption: '7c'.repeat(32) });
    await store.create({
      userId: 'shared',
      sessionId: 'counter',
      serverUrl: 'https://x',
      callbackUrl: 'https://y',
      transportType: 'sse',
      status: 'active',
      createdAt: Date.now(),
      metadata: { count: 0 },
    });
    const told = new Told();
    let started = 0;
    const start = async (): Promise<NodeProcess> => {
      started += 1;
      const writer = await spawnNode(PROGRAM, [url, `w${started}`], COMPILED);
      writer.onMessage(told.listen);
      return writer;
    };
    const writers = await Promise.all(Array.from({ length: WRITERS }, start));
    const outputs: string[] = [];
    try {
      await expect.poll(() => told.created.size, { timeout: 20_000 }).toBeGreaterThan(WRITERS);
      for (let kill = 0; kill < KILLS; kill += 1) {
        await new Promise((resolve) => setTimeout(resolve, Math.random() * 150));
        const victim = kill % WRITERS;
        const exit = await writers[victim]?.kill();
        // One that ended by itself says why.
        if (exit?.signal !== 'SIGKILL') outputs.push(writers[victim]?.output ?? '');
        writers[victim] = await start();
      }
      expect(outputs).toEqual([]);
    } finally {
      await Promise.all(writers.map((writer) => writer.kill()));
    }
    // What the killed had sent before may still be running.
    const others = `select from pg_stat_activity where datname = current_database() and application_name = '' and pid <> pg_backend_pid()
      and state <> 'idle'`;
    await expect.poll(() => queryOnce(url, others).then((rows) => rows.length)).toBe(0);

    const present = new Map(
      (await store.list('writers', { includeCredentials: true })).map((session) => [session.sessionId, session]),
    );
    const lost = [...told.created].filter((id) => !told.deleting.has(id) && !present.has(id));
    const back = [...told.deleted].filter((id) => present.has(id));
    expect({ lost, back }).toEqual({ lost: [], back: [] });
    for (const [sessionId, session] of present) expect(session.tokens?.access_token).toBe(`token-of-${sessionId}`);
    // The version guards the counter, whatever becomes of locks: no count is given twice.
    expect(new Set(told.counts).size).toBe(told.counts.length);
    const counter = await store.get('shared', 'counter');
    expect(Number(counter?.metadata?.count)).toBeGreaterThanOrEqual(Math.max(...told.counts));
    // The lease of a holder that was killed ends.
    expect(await store.withLock('shared', 'counter', async () => 'free', { waitMs: 5_000 })).toBe('free');
    // No secret in what a backup would hold.
    const rows = await queryOnce(url, 'select s::text as row from public.mcp_sessions as s');
    expect(JSON.stringify(rows)).not.toContain('token-of-');
    await store.disconnect();
    await pool.end();
  });
});
