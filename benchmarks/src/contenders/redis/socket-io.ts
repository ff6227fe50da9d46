import { createAdapter } from '@socket.io/redis-adapter';
import { Redis } from 'ioredis';
import type { Contender } from '../contender.ts';
import { type Adapter, emit, join, makeNamespace, type Namespace } from '../socket-io-namespace.ts';

/**
 * `@socket.io/redis-adapter` on its own. It publishes and waits for nothing; the acknowledgement is what the client that
 * it was given says.
 */
export const socketIo: Contender = {
  title: '@socket.io/redis-adapter',

  async openSender(url) {
    const client = new Redis(url);
    let published: Promise<unknown> = Promise.resolve();
    const watched = {
      on: client.on.bind(client),
      publish(channel: string, message: Buffer) {
        published = client.publish(channel, message);
      },
    };
    const { adapter } = await openAdapter(url, watched);
    return {
      async send(session, frame) {
        emit(adapter, session, frame);
        await published;
      },
    };
  },

  async openReceiver(url) {
    const { adapter, namespace, subscriber } = await openAdapter(url, new Redis(url));
    let passed = 0;
    subscriber.on('pmessageBuffer', () => {
      passed += 1;
    });
    return {
      hold: async (session, controller) => join(namespace, adapter, session, controller),
      passed: () => passed,
    };
  },
};

type Opened = { readonly adapter: Adapter; readonly namespace: Namespace; readonly subscriber: Redis };

async function openAdapter(url: string, publisher: object): Promise<Opened> {
  const namespace = makeNamespace();
  const subscriber = new Redis(url);
  const adapter = createAdapter(publisher, subscriber)(namespace) as unknown as Adapter;
  // It says nothing when it is subscribed; commands are answered in turn.
  await subscriber.ping();
  return { adapter, namespace, subscriber };
}
