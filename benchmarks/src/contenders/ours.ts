import type { BackplaneStreamSessionManager, DeliveryOptions } from '@tmcp/session-manager';
import type { Contender } from './contender.ts';

/** This project's manager: logged, acknowledged, resumable. */
export function ours(
  title: string,
  open: (url: string, options?: DeliveryOptions) => BackplaneStreamSessionManager,
  more: Pick<Contender, 'place'> = {},
): Contender {
  return {
    ...more,
    title,

    async openSender(url) {
      const manager = open(url);
      await manager.health();
      return {
        send: (session, frame) => manager.publish([session], frame),
        broadcast: (frame) => manager.publish(undefined, frame),
      };
    },

    async openReceiver(url) {
      const manager = open(url, { keepAliveMs: 0 });
      await manager.health();
      return {
        hold: (session, controller) => manager.create(session, controller),
        passed: () => manager.stats().cursor,
      };
    },
  };
}
