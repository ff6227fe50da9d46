import { subscriptionManagerSuite } from '@tmcp/session-manager/testing';
import { DurableObjectSubscriptionManager } from '../../src/index.ts';
import { loseLog } from './lose-log.ts';

let backends = 0;

// One shard: the kit asks for one order of all notifications, which is that of a shard.
subscriptionManagerSuite({
  name: 'Durable Objects',
  concurrent: true,
  setUp: async () => {
    backends += 1;
    const backend = `subscriptions-${backends}`;
    return {
      open: ({ namespace = 'shared', ...options }) =>
        new DurableObjectSubscriptionManager({ ...options, namespace: `${backend}/${namespace}`, shards: 1 }),
      breakContinuity: () => loseLog(`${backend}/shared`),
      cleanUp: async () => undefined,
    };
  },
});
