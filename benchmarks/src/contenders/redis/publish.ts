import { Redis } from 'ioredis';
import type { Contender, Receiver, Sender } from '../contender.ts';

const CHANNEL = 'bench';
const LINE_BREAK = 10;

/**
 * The bare loop: one `PUBLISH` per message on one connection, all processes subscribed to one channel. It keeps nothing
 * and loses what is sent while a subscriber reconnects.
 */
export const publish: Contender = {
  title: 'bare PUBLISH, one connection',
  openSender: (url) => openSender(url),
  openReceiver,
};

/** The driver puts all commands of one turn of the event loop into one write. */
export const publishPipelined: Contender = {
  title: 'bare PUBLISH, autopipelining of ioredis',
  openSender: (url) => openSender(url, { enableAutoPipelining: true }),
  openReceiver,
};

async function openSender(url: string, options: { enableAutoPipelining?: boolean } = {}): Promise<Sender> {
  const client = await connect(url, options);
  return {
    async send(session, frame) {
      await client.publish(CHANNEL, `${session}\n${frame}`);
    },
  };
}

async function openReceiver(url: string): Promise<Receiver> {
  const client = await connect(url);
  const controllers = new Map<string, ReadableStreamDefaultController<Uint8Array>>();
  let passed = 0;
  client.on('messageBuffer', (_: Buffer, message: Buffer) => {
    passed += 1;
    const line = message.indexOf(LINE_BREAK);
    controllers.get(message.toString('utf8', 0, line))?.enqueue(message.subarray(line + 1));
  });
  await client.subscribe(CHANNEL);
  return {
    async hold(session, controller) {
      controllers.set(session, controller);
    },
    passed: () => passed,
  };
}

/** The same with a channel for each session, as session managers do that know no log. */
export const channelPerSession: Contender = {
  title: 'one channel and PUBLISH per session',

  async openSender(url) {
    const client = await connect(url);
    return {
      async send(session, frame) {
        await client.publish(`session:${session}`, frame);
      },
    };
  },

  async openReceiver(url) {
    const client = await connect(url);
    const controllers = new Map<string, ReadableStreamDefaultController<Uint8Array>>();
    client.on('messageBuffer', (channel: Buffer, message: Buffer) => {
      controllers.get(channel.toString())?.enqueue(message);
    });
    return {
      async hold(session, controller) {
        controllers.set(`session:${session}`, controller);
        await client.subscribe(`session:${session}`);
      },
      passed: () => undefined,
    };
  },
};

async function connect(url: string, options: { enableAutoPipelining?: boolean } = {}): Promise<Redis> {
  const client = new Redis(url, { ...options, lazyConnect: true });
  await client.connect();
  return client;
}
