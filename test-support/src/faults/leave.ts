import type { StreamManager } from './stream-manager.ts';

export type SessionsOptions = {
  readonly heartbeatMs?: number;
  readonly sendTimeoutMs?: number;
  readonly onError: () => void;
};

/** What tests of leaving use of the set of managers that a backend's factory makes. */
export interface Sessions {
  readonly sessionManager: {
    readonly streams: StreamManager;
    readonly info: {
      setLogLevel(id: string, level: 'info' | 'debug'): Promise<void>;
      getLogLevel(id: string): Promise<unknown>;
      delete(id: string): Promise<void>;
    };
  };
  readonly subscriptionManager: {
    publish(notification: { jsonrpc: '2.0'; method: 'notifications/tools/list_changed' }): Promise<void>;
  };
  namespace(name: string): Sessions;
  close(): Promise<void>;
}

/** Uses everything once, in two namespaces. */
async function use(sessions: Sessions): Promise<void> {
  const { streams, info } = sessions.sessionManager;
  const body = new ReadableStream<Uint8Array>({ start: (controller) => streams.create('leaving', controller) });
  await streams.publish(['leaving'], 'data: 1\n\n');
  await body.getReader().read();
  await info.setLogLevel('leaving', 'info');
  await sessions.subscriptionManager.publish({ jsonrpc: '2.0', method: 'notifications/tools/list_changed' });
  await sessions.namespace('sse').sessionManager.streams.publish(undefined, 'data: 2\n\n');
}

/**
 * A program that uses managers in the way that its first argument names, on the server at its second, and then has nothing left
 * to do. Tells its parent when it has got that far.
 *
 * @param makeAll makes every manager by itself, which nobody will call
 */
export async function leave(
  makeSessions: (url: string, options: SessionsOptions) => Sessions,
  makeAll: (url: string) => void,
): Promise<void> {
  const [, , way = '', url = ''] = process.argv;
  const options = { onError: () => undefined };
  const ways: Record<string, () => Promise<void>> = {
    /** Closes what it has used. */
    async closed() {
      const sessions = makeSessions(url, options);
      await use(sessions);
      await sessions.close();
    },
    /** Makes managers, and never calls them. */
    async unused() {
      makeAll(url);
      makeSessions(url, options);
    },
    /** Does not close; nobody answers. */
    async unreachable() {
      const { streams } = makeSessions(url, { ...options, sendTimeoutMs: 300 }).sessionManager;
      await streams.send(undefined, 'data: 1\n\n');
      await streams.has('a').catch(() => undefined);
    },
    /** Does not close; the server goes away some time later. */
    async left() {
      await use(makeSessions(url, { ...options, heartbeatMs: 200 }));
    },
  };
  const chosen = ways[way];
  if (!chosen) throw new Error(`no such way of leaving: ${way}`);
  await chosen();
  process.send?.('done');
}
