import { env } from 'cloudflare:workers';
import type { Shard, ToShard, ToWorker } from '../../src/protocol.ts';

export type Relayed = ToShard | ToWorker;

/**
 * The binding, whose sockets break where a test wants it: before a message, which is lost with what follows.
 *
 * @param comesBack nobody whose socket broke does before this
 */
export function relayed(
  breaksBefore: (message: Relayed) => boolean,
  comesBack: Promise<void> = Promise.resolve(),
): DurableObjectNamespace {
  const objects = env.TMCP_DURABLE_OBJECT;
  const stub = (id: DurableObjectId): Shard => objects.get(id) as unknown as Shard;
  return {
    idFromName: (name: string) => objects.idFromName(name),
    get: (id: DurableObjectId) => ({
      publish: (...args: Parameters<Shard['publish']>) => stub(id).publish(...args),
      has: (...args: Parameters<Shard['has']>) => stub(id).has(...args),
      release: (...args: Parameters<Shard['release']>) => stub(id).release(...args),
      endSession: (...args: Parameters<Shard['endSession']>) => stub(id).endSession(...args),
      fetch: async (url: string, init: RequestInit) => {
        if (url.includes('mode=resume')) await comesBack;
        const { webSocket: far } = await objects.get(id).fetch(url, init);
        if (!far) throw new Error('the shard opened no socket');
        const [client, near] = Object.values(new WebSocketPair()) as [WebSocket, WebSocket];
        pass(far, near, breaksBefore);
        pass(near, far, breaksBefore);
        far.accept();
        near.accept();
        return new Response(null, { status: 101, webSocket: client });
      },
    }),
  } as unknown as DurableObjectNamespace;
}

function pass(from: WebSocket, to: WebSocket, breaksBefore: (message: Relayed) => boolean): void {
  let isBroken = false;
  const broken = (): void => {
    isBroken = true;
    for (const socket of [from, to]) {
      try {
        socket.close(4000);
      } catch {
        // It is closed.
      }
    }
  };
  from.addEventListener('message', ({ data }) => {
    if (isBroken) return;
    const text = String(data);
    if (text.startsWith('{') && breaksBefore(JSON.parse(text) as Relayed)) broken();
    else if (to.readyState === 1) to.send(text);
  });
  from.addEventListener('close', broken);
}
