import { infoSessionManagerSuite } from '@tmcp/session-manager/testing';
import { DurableObjectInfoSessionManager } from '../../src/index.ts';

let backends = 0;

infoSessionManagerSuite({
  name: 'Durable Objects',
  setUp: async () => {
    backends += 1;
    const backend = `info-${backends}`;
    return {
      open: ({ namespace = 'shared', ...options }) =>
        new DurableObjectInfoSessionManager({ ...options, namespace: `${backend}/${namespace}`, shards: 3 }),
      cleanUp: async () => undefined,
    };
  },
});
