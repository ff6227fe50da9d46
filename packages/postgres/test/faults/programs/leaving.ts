// Uses managers in one of several ways, then has nothing left to do. Says how far it has got.
import { PostgresStreamSessionManager, PostgresSubscriptionManager, postgresSessions } from '../../../src/index.ts';

const [, , way = '', connectionString = ''] = process.argv;
const options = { connectionString, heartbeatMs: 200, onError: () => undefined };

async function useSets(): Promise<ReturnType<typeof postgresSessions>> {
  const sessions = postgresSessions(options);
  const { streams, info } = sessions.sessionManager;
  const body = new ReadableStream({ start: (controller) => streams.create('leaving', controller) });
  await streams.publish(['leaving'], 'data: 1\n\n');
  await body.getReader().read();
  await info.setLogLevel('leaving', 'info');
  await sessions.subscriptionManager.publish({ jsonrpc: '2.0', method: 'notifications/tools/list_changed' });
  return sessions;
}

const ways: Record<string, () => Promise<void>> = {
  /** Closes what it has used. */
  async closed() {
    await (await useSets()).close();
  },
  /** Makes managers, and never calls them. */
  async unused() {
    new PostgresStreamSessionManager(options);
    new PostgresSubscriptionManager(options);
    postgresSessions(options);
  },
  /** Does not close; nobody answers. */
  async unreachable() {
    const manager = new PostgresStreamSessionManager({ ...options, sendTimeoutMs: 300 });
    await manager.send(undefined, 'data: 1\n\n');
    await manager.has('a').catch(() => undefined);
  },
  /** Does not close; the server goes away some time later. */
  async left() {
    await useSets();
  },
};

await ways[way]?.();
process.send?.('done');
