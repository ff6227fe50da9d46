import { startRedis } from 'test-support';
import type { Backend, PlaceOptions } from './backend.ts';

/**
 * A server for each contender, which goes with it: channels know no databases, so two on one server would hear each
 * other. Nothing is written to disk unless asked for.
 */
export async function startRedisBackend(): Promise<Backend> {
  return {
    name: 'redis',
    title: 'Redis',
    commitMs: undefined,
    description: [['Redis', await describe()]],
    createPlace: ({ persistent = false }: PlaceOptions = {}) =>
      startRedis({ settings: persistent ? { appendonly: 'yes', appendfsync: 'everysec' } : {} }),
    stop: async () => undefined,
  };
}

async function describe(): Promise<string> {
  await using server = await startRedis();
  const valkey = await server.info('valkey_version');
  const name = valkey === undefined ? server.version : `Valkey ${valkey}`;
  return `${name}, default settings, nothing written to disk where not said otherwise`;
}
