import { InMemoryStreamSessionManager, InProcessHub } from '@tmcp/session-manager';
import { streamSessionManagerSuite } from '@tmcp/session-manager/testing';

streamSessionManagerSuite({
  name: 'in memory',
  setUp: async () => {
    const hub = new InProcessHub();
    return {
      open: (options) => new InMemoryStreamSessionManager({ hub, ...options }),
      cleanUp: async () => undefined,
    };
  },
});
