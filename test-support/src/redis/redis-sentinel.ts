import { waitFor } from '../wait-for.ts';
import { type RedisServer, type RedisSettings, startRedis } from './redis-server.ts';

export interface RedisSentinelOptions {
  /** @default 1 */
  readonly replicas?: number | undefined;
  /** @default 3 */
  readonly sentinels?: number | undefined;
  /** Of the servers, not of the sentinels. */
  readonly settings?: RedisSettings | undefined;
}

/** A master, its replicas and the sentinels that watch them. */
export class RedisSentinel implements AsyncDisposable {
  /** What the sentinels call the master. */
  readonly name: string = 'tmcp';
  readonly servers: readonly RedisServer[];
  readonly watchers: readonly RedisServer[];

  constructor(servers: readonly RedisServer[], watchers: readonly RedisServer[]) {
    this.servers = servers;
    this.watchers = watchers;
  }

  /** The sentinels as `ioredis` takes them. */
  get sentinels(): { host: string; port: number }[] {
    return this.watchers.map(({ host, port }) => ({ host, port }));
  }

  /** The master, as most sentinels see it. */
  async master(): Promise<RedisServer> {
    const ports = await Promise.all(this.watchers.map((watcher) => this.#masterPort(watcher)));
    const server = this.servers.find(({ port }) => ports.filter((seen) => seen === port).length > ports.length / 2);
    if (server === undefined) throw new Error(`The sentinels do not agree on a master: ${ports.join(', ')}`);
    return server;
  }

  /** Has a replica take over from a living master. @returns the new master. */
  async failover(): Promise<RedisServer> {
    const before = await this.master();
    await waitFor(async () => (await this.watchers[0]?.command('SENTINEL', 'FAILOVER', this.name)) === 'OK', {
      timeoutMs: 30_000,
      intervalMs: 200,
      message: 'the sentinels to begin a failover',
    });
    return this.#otherMaster(before);
  }

  /** SIGKILL to the master. @returns the one that took over, when it has. */
  async killMaster(): Promise<RedisServer> {
    const before = await this.master();
    await before.kill();
    return this.#otherMaster(before);
  }

  async stop(): Promise<void> {
    await Promise.all([...this.watchers, ...this.servers].map((server) => server.stop()));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  /** Resolves when all sentinels know all others and all replicas, without which they elect nobody. */
  async ready(): Promise<void> {
    const expected = { 'num-slaves': this.servers.length - 1, 'num-other-sentinels': this.watchers.length - 1 };
    for (const watcher of this.watchers) {
      let seen: Record<string, string> = {};
      await waitFor(
        async () => {
          seen = pairs(await watcher.command('SENTINEL', 'MASTER', this.name));
          return Object.entries(expected).every(([name, count]) => seen[name] === String(count));
        },
        { timeoutMs: 30_000, intervalMs: 50, message: () => `the sentinels; one sees ${JSON.stringify(seen)}` },
      );
    }
  }

  async #masterPort(watcher: RedisServer): Promise<number> {
    const address = (await watcher.command('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', this.name)) as [string, string];
    return Number(address[1]);
  }

  #otherMaster(before: RedisServer): Promise<RedisServer> {
    return waitFor(
      async () => {
        const now = await this.master();
        return now !== before && (await now.info('role')) === 'master' ? now : undefined;
      },
      { timeoutMs: 60_000, intervalMs: 50, message: 'another master' },
    );
  }
}

/** Starts a master, replicas and sentinels that declare it dead after a second. */
export async function startRedisSentinel({
  replicas = 1,
  sentinels = 3,
  settings = {},
}: RedisSentinelOptions = {}): Promise<RedisSentinel> {
  const servers: RedisServer[] = [];
  const watchers: RedisServer[] = [];
  const group = new RedisSentinel(servers, watchers);
  try {
    const master = await startRedis({ settings });
    servers.push(master);
    for (let index = 0; index < replicas; index += 1) {
      const replica = await startRedis({ settings: { ...settings, replicaof: `${master.host} ${master.port}` } });
      servers.push(replica);
      await waitFor(async () => (await replica.info('master_link_status')) === 'up', {
        message: () => `a replica; its log:\n${replica.log}`,
      });
    }
    for (let index = 0; index < sentinels; index += 1) {
      const watcher = await startRedis({ sentinel: true, settings: watch(group.name, master, sentinels) });
      watchers.push(watcher);
      await hurry(watcher);
    }
    await group.ready();
  } catch (error) {
    await group.stop();
    throw error;
  }
  return group;
}

/** Sentinels look at their servers every ten seconds, and tell each other every two: not what tests should wait for. */
async function hurry(watcher: RedisServer): Promise<void> {
  // It came with Redis 7: older ones refuse it, and are as slow as ever.
  const periods = ['INFO-PERIOD', 300, 'PUBLISH-PERIOD', 200, 'ASK-PERIOD', 200, 'PING-PERIOD', 200];
  await watcher.command('SENTINEL', 'DEBUG', ...periods).catch(() => undefined);
}

function watch(name: string, master: RedisServer, sentinels: number): RedisSettings {
  return {
    'sentinel monitor': `${name} ${master.host} ${master.port} ${Math.floor(sentinels / 2) + 1}`,
    'sentinel down-after-milliseconds': `${name} 1000`,
    'sentinel failover-timeout': `${name} 3000`,
    'sentinel parallel-syncs': `${name} 1`,
  };
}

/** What Redis answers as a flat list of names and values. */
function pairs(answer: unknown): Record<string, string> {
  const list = answer as string[];
  return Object.fromEntries(list.flatMap((name, index) => (index % 2 === 0 ? [[name, list[index + 1] ?? '']] : [])));
}
