import type { BackendName } from '../backends/backend.ts';
import { openPostgres, openRedis } from '../our-managers.ts';
import type { Contender } from './contender.ts';
import { ours } from './ours.ts';
import { notify, channelPerSession as postgresChannelPerSession } from './postgres/notify.ts';
import { published as publishedOnPostgres } from './postgres/published.ts';
import { socketIo as socketIoOnPostgres } from './postgres/socket-io.ts';
import { publish, publishPipelined, channelPerSession as redisChannelPerSession } from './redis/publish.ts';
import { published as publishedOnRedis } from './redis/published.ts';
import { socketIo as socketIoOnRedis } from './redis/socket-io.ts';
import { socketIoStreams } from './redis/socket-io-streams.ts';

/** What there is on each backend. `ours`, `base` (a bare loop), `channel-per-session` and `published` are on all. */
export const contenders: Readonly<Record<BackendName, Readonly<Record<string, Contender>>>> = {
  postgres: {
    ours: ours("ours, durability 'commit'", openPostgres),
    'ours-async': ours("ours, durability 'async'", (url, options) =>
      openPostgres(url, { ...options, durability: 'async' }),
    ),
    base: notify,
    'channel-per-session': postgresChannelPerSession,
    published: publishedOnPostgres,
    'socket-io': socketIoOnPostgres,
  },
  redis: {
    ours: ours('ours', openRedis),
    'ours-persistent': ours('ours, server with appendonly, fsync every second', openRedis, {
      place: { persistent: true },
    }),
    base: publish,
    'base-pipelined': publishPipelined,
    'channel-per-session': redisChannelPerSession,
    published: publishedOnRedis,
    'socket-io': socketIoOnRedis,
    'socket-io-streams': socketIoStreams,
  },
};

/** @throws when there is none of that name */
export function contender(backend: BackendName, name: string): Contender {
  const found = contenders[backend][name];
  if (!found) throw new Error(`${backend} has no contender "${name}"`);
  return found;
}
