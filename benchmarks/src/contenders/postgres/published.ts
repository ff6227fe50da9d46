import { escapeLiteral } from 'pg';
import { PostgresStreamSessionManager } from 'published-session-manager-postgres';
import type { Contender } from '../contender.ts';

/**
 * The published version 0.3.0. It puts the frame into `NOTIFY "session:…", <frame>` as it is, so a real frame is a
 * syntax error, and an unhandled rejection since nothing awaits it. It can only be measured with a frame that the
 * caller has quoted for it. Its `send` resolves before its query is sent: there is no acknowledgement.
 */
export const published: Contender = {
  title: '@tmcp/session-manager-postgres 0.3.0',

  async openSender(url) {
    const manager = await open(url);
    return {
      send: (session, frame) => manager.send([session], escapeLiteral(frame)),
      broadcast: (frame) => manager.send(undefined, escapeLiteral(frame)),
    };
  },

  async openReceiver(url) {
    const manager = await open(url);
    return {
      hold: (session, controller) => manager.create(session, controller),
      passed: () => undefined,
    };
  },
};

async function open(url: string): Promise<PostgresStreamSessionManager> {
  const manager = new PostgresStreamSessionManager({ connectionString: url });
  await manager.has('');
  return manager;
}
