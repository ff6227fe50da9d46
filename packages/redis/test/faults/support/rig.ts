import { type RedisServer, redisOnce, startRedis, type TcpProxy, waitFor } from 'test-support';
import { type FaultBackend, FaultRig, type Holder, type LogHead, OUTAGE_CODES } from 'test-support/faults';
import type { RedisStreamSessionManager } from '../../../src/index.ts';
import { type LogKeys, logKeys } from '../../../src/keys.ts';
import { makeManager, type NodeOptions } from './test-node.ts';

const PROGRAM = new URL('../programs/session-node.ts', import.meta.url);

/** What faults may cause, and that the servers of tests keep nothing on disk. */
export const HARMLESS: readonly string[] = [...OUTAGE_CODES, 'configuration'];

/** The keys of the namespace that tests use. */
export const KEYS: LogKeys = logKeys('tmcp', 'default');

const databases = new WeakMap<RedisServer, number>();

/** What one test works with: a database of its own on a server, nodes and clients. At its end no connection may be left. */
export class Rig extends FaultRig<NodeOptions, RedisStreamSessionManager> {
  static on(server: RedisServer): Rig {
    const database = databases.get(server) ?? 0;
    databases.set(server, database + 1);
    return new Rig(server, database);
  }

  readonly harmless: readonly string[] = HARMLESS;
  readonly server: RedisServer;
  /** The database, without a proxy. */
  readonly url: string;
  readonly #database: number;

  constructor(server: RedisServer, database = 0) {
    const url = `${server.url}/${database}`;
    super({ defaults: { url }, make: makeManager, program: PROGRAM });
    this.server = server;
    this.url = url;
    this.#database = database;
  }

  async proxy(): Promise<{ proxy: TcpProxy; url: string; through: NodeOptions }> {
    const proxy = await this.proxyTo(this.server);
    proxy.label('listener', (chunk) => /XREAD/i.test(chunk.toString('latin1')));
    const url = proxy.url(this.url);
    return { proxy, url, through: { url } };
  }

  again(): Rig {
    return new Rig(this.server, this.#database);
  }

  /** One command, past any proxy. */
  command(name: string, ...values: (string | number)[]): Promise<unknown> {
    return redisOnce(this.url, [name, ...values]);
  }

  async epoch(): Promise<unknown> {
    return this.command('HGET', KEYS.head, 'epoch');
  }

  async head(): Promise<LogHead> {
    const [position, trimmed] = (await this.command('HMGET', KEYS.head, 'pos', 'trimmed')) as (string | null)[];
    return { position: Number(position), trimmed: Number(trimmed) };
  }

  async holder(session: string): Promise<Holder> {
    const claim = JSON.parse(String(await this.command('HGET', KEYS.claims, session))) as string[];
    const cursor = Number.parseInt(String(await this.command('HGET', KEYS.nodes, claim[1] ?? '')), 10);
    return { at: Number(claim[3]), cursor };
  }

  async knownNodes(): Promise<string[]> {
    const rows = (await this.command('HGETALL', KEYS.nodes)) as string[];
    const ids = rows.filter((_, i) => i % 2 === 0 && !rows[i + 1]?.startsWith('gone'));
    return ids.sort();
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    await super[Symbol.asyncDispose]();
    if (this.server.pid === undefined) return;
    let open: string[] = [];
    const isAlone = async (): Promise<boolean> => {
      open = await this.connections();
      return open.length === 0;
    };
    await waitFor(isAlone, { timeoutMs: 30_000, message: () => `connections to be closed: ${open.join('; ')}` });
  }

  /** Lines of CLIENT LIST: the connections to this database. */
  async connections(): Promise<string[]> {
    const lines = String(await redisOnce(this.server.url, ['CLIENT', 'LIST'])).split('\n');
    return lines.filter((line) => line.includes(` db=${this.#database} `) && !line.includes('cmd=client'));
  }

  /** CLIENT KILL. @returns how many connections these were */
  async kill(fits: (line: string) => boolean = () => true): Promise<number> {
    const ids = (await this.connections()).filter(fits).map((line) => /id=(\d+)/.exec(line)?.[1] ?? '');
    const killed = await Promise.all(ids.map((id) => redisOnce(this.server.url, ['CLIENT', 'KILL', 'ID', id])));
    return killed.reduce<number>((sum, count) => sum + Number(count), 0);
  }
}

/** Enough databases for the tests of a file. */
export function startRigServer(): Promise<RedisServer> {
  return startRedis({ settings: { databases: 100 } });
}

/** For suites whose tests need a server each. */
export const BACKEND: FaultBackend<RedisServer, Rig> = { startServer: () => startRedis(), rigOn: Rig.on };

/** Whether a line of CLIENT LIST is of a connection that reads the log. */
export function isReading(line: string): boolean {
  return line.includes('cmd=xread') || / sub=[1-9]/.test(line);
}
