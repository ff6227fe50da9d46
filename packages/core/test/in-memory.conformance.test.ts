import {
  BackplaneStreamSessionManager,
  DeliveryNode,
  deliveryRules,
  InMemoryStreamSessionManager,
  InMemorySubscriptionManager,
  InProcessBackplane,
  InProcessHub,
  readOptions,
} from '@tmcp/session-manager';
import { renewEpoch, streamSessionManagerSuite, subscriptionManagerSuite } from '@tmcp/session-manager/testing';

streamSessionManagerSuite({
  name: 'in memory',
  concurrent: true,
  setUp: async () => {
    const hub = new InProcessHub();
    return {
      open: (options) => new InMemoryStreamSessionManager({ hub, ...options }),
      openMortal: ({ namespace, ...options }) => {
        const settings = readOptions('openMortal', options, deliveryRules);
        const backplane = new InProcessBackplane({ hub, namespace, sessionTimeoutMs: settings.sessionTimeoutMs });
        const manager = new BackplaneStreamSessionManager(new DeliveryNode(backplane, settings));
        return { manager, kill: () => backplane.close() };
      },
      breakContinuity: () => renewEpoch(new InProcessBackplane({ hub })),
      cleanUp: async () => undefined,
    };
  },
});

subscriptionManagerSuite({
  name: 'in memory',
  concurrent: true,
  setUp: async () => {
    const hub = new InProcessHub();
    return {
      open: (options) => new InMemorySubscriptionManager({ hub, ...options }),
      breakContinuity: () => renewEpoch(new InProcessBackplane({ hub })),
      cleanUp: async () => undefined,
    };
  },
});
