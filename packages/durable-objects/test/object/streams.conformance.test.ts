import { streamSessionManagerSuite } from '@tmcp/session-manager/testing';
import { DurableObjectStreamSessionManager } from '../../src/index.ts';
import { loseLog } from './lose-log.ts';

let backends = 0;

// One shard: the kit asks for one order of all messages, which is that of a shard.
streamSessionManagerSuite({
  name: 'Durable Objects',
  // These need a process that dies while its backend goes on. Here all managers and objects share one isolate, which
  // cannot lose one of them. What is left of a death, a broken socket, is tested with real Workers (test/http/faults).
  without: [
    'streams/death-has',
    'streams/death-with-id',
    'streams/death-without-id',
    'streams/death-let-in',
    'streams/death-cancelled-while-waiting',
    // Nor can a manager be cut off from its objects.
    'streams/death-of-backend',
    'streams/death-and-close',
  ],
  setUp: async () => {
    backends += 1;
    const backend = `kit-${backends}`;
    return {
      open: ({ namespace = 'shared', ...options }) =>
        new DurableObjectStreamSessionManager({ ...options, namespace: `${backend}/${namespace}`, shards: 1 }),
      breakContinuity: () => loseLog(`${backend}/shared`),
      cleanUp: async () => undefined,
    };
  },
});
