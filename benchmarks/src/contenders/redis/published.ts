import { Redis } from 'ioredis';
import { RedisStreamSessionManager } from 'published-session-manager-redis';
import { waitFor } from 'test-support';
import type { Contender } from '../contender.ts';

/**
 * The published version 0.3.0: a channel for each session. It publishes over the connection that is subscribed, which
 * Redis refuses, so it can only be measured with a process that sends and holds no stream. Its `send` resolves before
 * its command is answered: there is no acknowledgement.
 */
export const published: Contender = {
  title: '@tmcp/session-manager-redis 0.3.0',

  async openSender(url) {
    const manager = await open(url);
    return {
      send: (session, frame) => manager.send([session], frame),
      broadcast: (frame) => manager.send(undefined, frame),
    };
  },

  async openReceiver(url) {
    const manager = await open(url);
    const onlooker = new Redis(url);
    return {
      async hold(session, controller) {
        await manager.create(session, controller);
        // It does not wait until it is subscribed.
        const isSubscribed = async (): Promise<boolean> => {
          const [, subscribers] = await onlooker.pubsub('NUMSUB', `session:${session}`);
          return Number(subscribers) > 0;
        };
        await waitFor(isSubscribed, { message: 'the published manager to subscribe' });
      },
      passed: () => undefined,
    };
  },
};

async function open(url: string): Promise<RedisStreamSessionManager> {
  const manager = new RedisStreamSessionManager(url);
  await manager.has('');
  return manager;
}
