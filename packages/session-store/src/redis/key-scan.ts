import type { RedisCalls } from './redis-calls.ts';
import type { RedisNode } from './redis-client.ts';

const COUNT = 1_000;

/**
 * Names of keys on all masters, a batch for each answer of `SCAN`. A name can come twice, and what is written or moved
 * to another master meanwhile may be missed.
 */
export async function* scanKeys(calls: RedisCalls, name: string, pattern: string): AsyncGenerator<string[]> {
  for (const node of await calls.read(name, async () => masters(calls))) {
    let cursor = '0';
    do {
      const answer = await calls.read(name, () => node.call('scan', cursor, 'match', pattern, 'count', COUNT));
      const [next, keys] = answer as [string, string[]];
      cursor = next;
      if (keys.length > 0) yield keys;
    } while (cursor !== '0');
  }
}

/** One of a client for one server, all of a cluster. */
export function masters({ client }: RedisCalls): RedisNode[] {
  if (client.nodes === undefined) return [client];
  const nodes = client.nodes('master');
  // A cluster of no servers would pass for one of no sessions.
  if (nodes.length === 0) throw new Error('Cluster isn’t ready: it knows no master');
  return nodes;
}
