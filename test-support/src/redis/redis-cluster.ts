import { canListen, freePort } from '../free-port.ts';
import { waitFor } from '../wait-for.ts';
import { type RedisServer, type RedisSettings, startRedis } from './redis-server.ts';

const SLOTS = 16_384;

export interface RedisClusterOptions {
  readonly masters: number;
  /** @default 0 */
  readonly replicasPerMaster?: number | undefined;
  /** Of every node. */
  readonly settings?: RedisSettings | undefined;
}

/** Servers of a cluster: the masters first, in the order of their slots, then their replicas. */
export class RedisCluster implements AsyncDisposable {
  readonly nodes: readonly RedisServer[];

  constructor(nodes: readonly RedisServer[]) {
    this.nodes = nodes;
  }

  /** The addresses of all nodes. */
  get urls(): string[] {
    return this.nodes.map((node) => node.url);
  }

  /** The addresses as `Cluster` of `ioredis` takes them. */
  get hosts(): { host: string; port: number }[] {
    return this.nodes.map(({ host, port }) => ({ host, port }));
  }

  /** Resolves when all running nodes say that every slot is served. */
  async ready(): Promise<void> {
    const running = this.nodes.filter((node) => node.pid !== undefined);
    await Promise.all(
      running.map(async (node) => {
        let state = '';
        await waitFor(
          async () => {
            state = String(await node.command('CLUSTER', 'INFO'));
            const linked = (await node.info('role')) === 'master' || (await node.info('master_link_status')) === 'up';
            return state.includes('cluster_state:ok') && state.includes(`cluster_slots_ok:${SLOTS}`) && linked;
          },
          { timeoutMs: 30_000, intervalMs: 50, message: () => `the cluster of Redis; a node says:\n${state}` },
        );
      }),
    );
  }

  async stop(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.stop()));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}

/** Starts a cluster, and resolves when every node knows that all slots are served. */
export async function startRedisCluster({
  masters,
  replicasPerMaster = 0,
  settings = {},
}: RedisClusterOptions): Promise<RedisCluster> {
  const nodes: RedisServer[] = [];
  const cluster = new RedisCluster(nodes);
  try {
    for (let index = 0; index < masters * (1 + replicasPerMaster); index += 1) {
      nodes.push(
        await startRedis({
          port: await freeClusterPort(),
          settings: { 'cluster-enabled': 'yes', 'cluster-node-timeout': 2_000, ...settings },
        }),
      );
    }
    await join(nodes, masters);
    await cluster.ready();
  } catch (error) {
    await cluster.stop();
    throw error;
  }
  return cluster;
}

/** What `redis-cli --cluster create` does, without its program. */
async function join(nodes: readonly RedisServer[], masters: number): Promise<void> {
  const [first] = nodes;
  if (first === undefined) throw new Error('A cluster has at least one master');
  for (const [index, node] of nodes.entries()) {
    // Two nodes that begin with the same epoch have to settle that first, which takes seconds.
    await node.command('CLUSTER', 'SET-CONFIG-EPOCH', index + 1);
    if (index >= masters) continue;
    const from = Math.floor((index * SLOTS) / masters);
    const to = Math.floor(((index + 1) * SLOTS) / masters);
    await node.command('CLUSTER', 'ADDSLOTS', ...Array.from({ length: to - from }, (_, slot) => from + slot));
  }
  const meet = async (): Promise<void> => {
    for (const node of nodes) if (node !== first) await node.command('CLUSTER', 'MEET', first.host, first.port);
  };
  const isKnown = async (node: RedisServer): Promise<boolean> =>
    String(await node.command('CLUSTER', 'INFO')).includes(`known_nodes:${nodes.length}`);
  let asked = Number.NEGATIVE_INFINITY;
  await waitFor(
    async () => {
      // A handshake that a busy machine lets time out is not tried again by the servers.
      if (performance.now() - asked > 3_000) {
        asked = performance.now();
        await meet();
      }
      return (await Promise.all(nodes.map(isKnown))).every(Boolean);
    },
    { message: 'all nodes to know each other', timeoutMs: 30_000 },
  );
  const ids = await Promise.all(nodes.map(async (node) => String(await node.command('CLUSTER', 'MYID'))));
  for (const [index, node] of nodes.entries()) {
    if (index < masters) continue;
    const master = ids[index % masters] as string;
    await waitFor(async () => (await node.command('CLUSTER', 'REPLICATE', master)) === 'OK', {
      message: 'a replica to hear of its master',
    });
  }
}

/** Nodes talk to each other on the port 10,000 above, which must be below those for outgoing connections as well. */
async function freeClusterPort(): Promise<number> {
  for (;;) {
    const port = await freePort();
    if (port < 22_000 && (await canListen(port + 10_000))) return port;
  }
}
