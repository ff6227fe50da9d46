import { createAdapter } from '@socket.io/postgres-adapter';
import { Pool } from 'pg';
import { waitFor } from 'test-support';
import type { Contender } from '../contender.ts';
import { type Adapter, BROADCAST, emit, join, makeNamespace, type Namespace } from '../socket-io-namespace.ts';

/** `@socket.io/postgres-adapter` on its own. */
export const socketIo: Contender = {
  title: '@socket.io/postgres-adapter',

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
    const onMessage = adapter.onMessage.bind(adapter);
    adapter.onMessage = (message, offset) => {
      if (message.type === BROADCAST) passed += 1;
      onMessage(message, offset);
    };
    return {
      hold: async (session, controller) => join(namespace, adapter, session, controller),
      passed: () => passed,
    };
  },
};

type PostgresAdapter = Adapter & {
  readonly client: { readonly client?: object };
  onMessage(message: { type: number }, offset?: string): void;
};

async function openAdapter(url: string): Promise<{ adapter: PostgresAdapter; namespace: Namespace }> {
  // Eight for queries, as the bare loop has, and the one that listens.
  const pool = new Pool({ connectionString: url, max: 9 });
  const namespace = makeNamespace();
  const adapter = createAdapter(pool)(namespace) as unknown as PostgresAdapter;
  adapter.init();
  // It says nothing when it listens.
  await waitFor(() => adapter.client.client !== undefined, { message: 'the adapter to listen' });
  return { adapter, namespace };
}
