import { env } from 'cloudflare:workers';
import type { Notification } from '@tmcp/session-manager';
import { expect, test } from 'vitest';
import { DurableObjectSubscriptionManager } from '../../src/index.ts';
import type { Shard } from '../../src/protocol.ts';

const TOOLS: Notification = { jsonrpc: '2.0', method: 'notifications/tools/list_changed' };
const settings = { resumeWindowMs: 60_000, maxLogBytes: 1_000, sessionTimeoutMs: 10_000 };

/** A manager, what one subscription of it hears, and its connections. */
class Listener {
  readonly heard: string[] = [];
  readonly reported: string[] = [];
  readonly manager: DurableObjectSubscriptionManager;
  readonly shard: Shard;
  #socket: WebSocket | null = null;
  /** How the next connections are made, if not as usual. */
  onConnect: ((open: () => Promise<Response>) => Promise<Response>)[] = [];

  constructor(namespace: string) {
    const objects = env.TMCP_DURABLE_OBJECT;
    this.shard = objects.getByName(`v2/1/0/${namespace}`) as unknown as Shard;
    const binding = {
      idFromName: (name: string) => objects.idFromName(name),
      get: (id: DurableObjectId) => ({
        publish: (...args: Parameters<Shard['publish']>) => (objects.get(id) as unknown as Shard).publish(...args),
        fetch: async (url: string, init: RequestInit) => {
          const open = (): Promise<Response> => objects.get(id).fetch(url, init);
          const response = await (this.onConnect.shift()?.(open) ?? open());
          this.#socket = response.webSocket;
          return response;
        },
      }),
    } as unknown as DurableObjectNamespace;
    const onError = ({ code }: { code: string }): void => void this.reported.push(code);
    this.manager = new DurableObjectSubscriptionManager({ binding, namespace, shards: 1, maxLogBytes: 1_000, onError });
  }

  listen(): Promise<boolean> {
    const subscription = { id: 1, origin: 'o', filters: { toolsListChanged: true } };
    return this.manager.create(subscription, {
      acknowledge: async () => undefined,
      send: async ({ method, params }) => void this.heard.push((params as { label?: string })?.label ?? method),
      close: async () => undefined,
    });
  }

  publish(label: string): Promise<void> {
    return this.manager.publish({ ...TOOLS, params: { label } });
  }

  cut(): void {
    this.#socket?.close();
  }

  /** Everything but the newest is trimmed, which is of another topic. */
  async trim(): Promise<void> {
    const messages = [
      { topic: 'tools', data: JSON.stringify(TOOLS) },
      { topic: 'other', data: 'x'.repeat(2_000) },
    ] as const;
    await this.shard.publish({ id: 'trim', attempt: 1, messages, settings });
  }
}

test('listen/gap: what comes after a listen stream lost its place is not lost with it', async () => {
  const listener = new Listener('listen/gap');
  await listener.listen();
  await listener.publish('1');
  await expect.poll(() => listener.heard).toEqual(['1']);
  listener.onConnect = [
    async (open) => {
      await listener.publish('2');
      const response = await open();
      // Between the answer that it can continue, and its first pull.
      await listener.trim();
      return response;
    },
    async (open) => {
      await listener.publish('3');
      listener.heard.push('3 is accepted');
      return open();
    },
  ];
  listener.cut();
  await expect.poll(() => listener.heard).toContain('3 is accepted');
  await listener.publish('4');
  await expect.poll(() => listener.heard).toContain('4');
  expect(listener.heard).toEqual(['1', '3 is accepted', TOOLS.method, '4']);
  expect(listener.reported).toEqual(['discontinuity']);
  await listener.manager.close();
});

test('listen/no-begin: a listen stream whose first connection breaks before it knows its place is told to look again', async () => {
  const listener = new Listener('listen/no-begin');
  listener.onConnect = [
    async () => {
      const [client, server] = Object.values(new WebSocketPair()) as [WebSocket, WebSocket];
      server.accept();
      server.close();
      return new Response(null, { status: 101, webSocket: client });
    },
    async (open) => {
      await listener.publish('1');
      listener.heard.push('1 is accepted');
      return open();
    },
  ];
  await listener.listen();
  await expect.poll(() => listener.heard, { timeout: 5_000 }).toEqual(['1 is accepted', TOOLS.method]);
  expect(listener.reported).toEqual(['discontinuity']);
  await listener.manager.close();
});
