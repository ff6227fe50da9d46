import { type Durability, PostgresStreamSessionManager } from '@tmcp/session-manager-postgres';
import type { Contender } from './contender.ts';

/** This project's manager: logged, acknowledged, resumable. */
export function ours(durability: Durability): Contender {
  return {
    title: `ours, durability '${durability}'`,

    async openSender(url) {
      const manager = new PostgresStreamSessionManager({ connectionString: url, durability });
      await manager.health();
      return {
        send: (session, frame) => manager.publish([session], frame),
        broadcast: (frame) => manager.publish(undefined, frame),
        close: () => manager.close(),
      };
    },

    async openReceiver(url) {
      const manager = new PostgresStreamSessionManager({ connectionString: url, durability, keepAliveMs: 0 });
      await manager.health();
      return {
        hold: (session, controller) => manager.create(session, controller),
        passed: () => manager.stats().cursor,
        close: () => manager.close(),
      };
    },
  };
}
