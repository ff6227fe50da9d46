import { randomUUID } from 'node:crypto';
import { createAdapter } from '@socket.io/redis-streams-adapter';
import { Redis } from 'ioredis';
import { waitFor } from 'test-support';
import type { Contender } from '../contender.ts';
import { type Adapter, BROADCAST, emit, join, makeNamespace, type Namespace } from '../socket-io-namespace.ts';

/** `@socket.io/redis-streams-adapter` on its own. It keeps the last 10,000 messages. */
export const socketIoStreams: Contender = {
  title: '@socket.io/redis-streams-adapter',

  async openSender(url) {
    const { adapter } = await openAdapter(url);
    return {
      async send(session, frame) {
        await emit(adapter, session, frame);
      },
    };
  },

  async openReceiver(url) {
    const { adapter, namespace } = await openAdapter(url);
    let passed = 0;
    const onRawMessage = adapter.onRawMessage.bind(adapter);
    adapter.onRawMessage = (message, offset) => {
      if (Number(message.type) === BROADCAST) passed += 1;
      onRawMessage(message, offset);
    };
    return {
      hold: async (session, controller) => join(namespace, adapter, session, controller),
      passed: () => passed,
    };
  },
};

type StreamsAdapter = Adapter & { onRawMessage(message: { type: string }, offset: string): void };

async function openAdapter(url: string): Promise<{ adapter: StreamsAdapter; namespace: Namespace }> {
  const namespace = makeNamespace();
  // Its connections have the settings of the one that it is given: the name, and the replies that it knows how to read.
  const connectionName = randomUUID();
  const client = new Redis(url, { connectionName, protocol: 2 });
  const adapter = createAdapter(client, {})(namespace) as unknown as StreamsAdapter;
  adapter.init();
  // What is sent before it reads is lost, and it says nothing when it does.
  const isReading = async (): Promise<boolean> => {
    const clients = String(await client.client('LIST')).split('\n');
    return clients.some((line) => line.includes(`name=${connectionName}`) && line.includes('cmd=xread'));
  };
  await waitFor(isReading, { message: 'the adapter to read' });
  return { adapter, namespace };
}
