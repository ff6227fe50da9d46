// Reads session info as a POST does: `node info-reader.ts <backend> ours|published <url>`.
import { PostgresInfoSessionManager } from '@tmcp/session-manager-postgres';
import { RedisInfoSessionManager } from '@tmcp/session-manager-redis';
import { PostgresInfoSessionManager as PublishedOnPostgres } from 'published-session-manager-postgres';
import { RedisInfoSessionManager as PublishedOnRedis } from 'published-session-manager-redis';
import type { BackendName } from '../backends/backend.ts';
import type { Figures } from '../measure/rounds.ts';
import { percentile } from '../measure/statistics.ts';
import { serve } from './serve.ts';

const [backend, name, url = ''] = process.argv.slice(2);
const sessions = Array.from({ length: 64 }, (_, index) => `session-${index}`);
const client = { name: 'client', version: '1.0.0' };
const capabilities = { elicitation: {}, roots: { listChanged: true } };

const open = {
  postgres: {
    ours: () => new PostgresInfoSessionManager({ connectionString: url }),
    published: () => new PublishedOnPostgres({ connectionString: url }),
  },
  redis: {
    ours: () => new RedisInfoSessionManager(url),
    published: () => new PublishedOnRedis(url),
  },
};
const info = open[backend as BackendName][name as 'ours' | 'published']();
// The published manager on PostgreSQL does not wait for the tables it creates.
await new Promise((resolve) => setTimeout(resolve, 500));
for (const session of sessions) {
  await info.setClientInfo(session, client);
  await info.setClientCapabilities(session, capabilities);
  await info.setLogLevel(session, 'warning');
}

serve({
  readOnce: () => read('session-0'),

  /** One POST after the other, then one of each session at a time. */
  async time(posts: number): Promise<Figures> {
    const delays: number[] = [];
    for (let i = 0; i < posts; i += 1) {
      const at = performance.now();
      await read('session-0');
      delays.push(performance.now() - at);
    }
    const begun = performance.now();
    let left = posts * 4;
    const loop = async (session: string): Promise<void> => {
      while (left-- > 0) await read(session);
    };
    await Promise.all(sessions.map(loop));
    return { p50Ms: percentile(delays, 0.5), perSecond: (posts * 4_000) / (performance.now() - begun) };
  },
});

/** One after the other, and whatever is missing is missing: as the transports do it. */
async function read(session: string): Promise<void> {
  const can = await info.getClientCapabilities(session).catch(() => undefined);
  const said = await info.getClientInfo(session).catch(() => undefined);
  const level = await info.getLogLevel(session).catch(() => undefined);
  // The published managers store a level in quotes, and then take it for none.
  const isComplete = name === 'published' || level === 'warning';
  if (JSON.stringify([can, said]) !== JSON.stringify([capabilities, client]) || !isComplete) {
    throw new Error('what was read is not what was written');
  }
}
