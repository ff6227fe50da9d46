import { type PostgresServer, queryOnce, startPostgres, type TcpProxy, waitFor } from 'test-support';
import { type FaultBackend, FaultRig, type Holder, type LogHead, OUTAGE_CODES } from 'test-support/faults';
import type { PostgresStreamSessionManager } from '../../../src/index.ts';
import { makeManager, type NodeOptions } from './test-node.ts';

/** `deadlock_detected` */
const DEADLOCK = '40P01';

const PROGRAM = new URL('../programs/session-node.ts', import.meta.url);

/**
 * What one test works with: a database of its own on a server, nodes and clients. At its end everything is closed, and nothing
 * of it may be left on the server.
 */
export class Rig extends FaultRig<NodeOptions, PostgresStreamSessionManager> {
  static async on(server: PostgresServer): Promise<Rig> {
    return new Rig(server, await server.createDatabase());
  }

  readonly harmless: readonly string[] = OUTAGE_CODES;
  readonly server: PostgresServer;
  /** The database, without a proxy. */
  readonly url: string;

  constructor(server: PostgresServer, url: string) {
    super({ defaults: { connectionString: url }, make: makeManager, program: PROGRAM });
    this.server = server;
    this.url = url;
  }

  async proxy(): Promise<{ proxy: TcpProxy; url: string; through: NodeOptions }> {
    const proxy = await this.proxyTo(this.server);
    proxy.label('listener', (chunk) => /listen "/i.test(chunk.toString('latin1')));
    const url = proxy.url(this.url);
    return { proxy, url, through: { connectionString: url } };
  }

  again(): Rig {
    return new Rig(this.server, this.url);
  }

  /**
   * One statement as superuser, past any proxy. One that takes tables away from those who use them may be chosen to
   * resolve a deadlock; then nothing of it was done, and it is tried again.
   */
  async query<Row extends Record<string, unknown>>(sql: string, values: unknown[] = []): Promise<Row[]> {
    for (;;) {
      try {
        return await queryOnce<Row>(this.url, sql, values);
      } catch (error) {
        if ((error as { code?: string }).code !== DEADLOCK) throw error;
      }
    }
  }

  async head(): Promise<LogHead> {
    const [head] = await this.query<Record<string, string>>('select pos::text, trimmed::text from tmcp_sessions_head');
    return { position: Number(head?.pos), trimmed: Number(head?.trimmed) };
  }

  async holder(session: string): Promise<Holder> {
    const [row] = await this.query<Record<string, string>>(
      `select c.at::text, n.cursor::text from tmcp_sessions c join tmcp_sessions_node n on n.ns = c.ns and n.id = c.node
       where c.ns = 'default' and c.id = $1`,
      [session],
    );
    return { at: Number(row?.at), cursor: Number(row?.cursor) };
  }

  async knownNodes(): Promise<string[]> {
    const rows = await this.query<{ id: string }>('select id from tmcp_sessions_node order by id');
    return rows.map(({ id }) => id);
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    await super[Symbol.asyncDispose]();
    if (this.server.pid !== undefined) await noConnectionIsLeft(this.url);
  }
}

/** For suites whose tests need a server each. */
export const BACKEND: FaultBackend<PostgresServer, Rig> = { startServer: () => startPostgres(), rigOn: Rig.on };

/** Every connection to a database is ours: none may outlive what opened it. */
async function noConnectionIsLeft(url: string): Promise<void> {
  let open: string[] = [];
  const isAlone = async (): Promise<boolean> => {
    const rows = await queryOnce<{ line: string }>(
      url,
      `select concat_ws(' ', state, left(query, 60)) as line from pg_stat_activity
       where datname = current_database() and pid <> pg_backend_pid()`,
    );
    open = rows.map(({ line }) => line);
    return open.length === 0;
  };
  await waitFor(isAlone, { timeoutMs: 30_000, message: () => `connections to be closed: ${open.join('; ')}` });
}
