import { createAdapter } from '@socket.io/postgres-adapter';
import { Pool } from 'pg';
import { waitFor } from 'test-support';
import type { Contender } from './contender.ts';

/** `@socket.io/postgres-adapter` under a namespace that has just what the adapter touches: no engine, no encoder. */
export const socketIo: Contender = {
  title: '@socket.io/postgres-adapter',

  async openSender(url) {
    const { adapter } = await openAdapter(url);
    return {
      async send(session, frame) {
        const packet: Packet = { type: EVENT, data: ['message', frame] };
        await adapter.broadcast(packet, { rooms: new Set([session]), except: new Set(), flags: {} });
      },
    };
  },

  async openReceiver(url) {
    const { adapter, namespace } = await openAdapter(url);
    const encoder = new TextEncoder();
    let passed = 0;
    const onMessage = adapter.onMessage.bind(adapter);
    adapter.onMessage = (message, offset) => {
      if (message.type === BROADCAST) passed += 1;
      onMessage(message, offset);
    };
    return {
      async hold(session, controller) {
        const writeToEngine = ([frame = '']: string[]): void => controller.enqueue(encoder.encode(frame));
        namespace.sockets.set(session, { client: { writeToEngine } });
        adapter.addAll(session, new Set([session]));
      },
      passed: () => passed,
    };
  },
};

const EVENT = 2;
const BROADCAST = 3;

type Packet = { type: number; data: [name: string, frame: string] };
type Options = { rooms: Set<string>; except: Set<string>; flags: object };
type Adapter = {
  readonly client: { readonly client?: object };
  init(): void;
  close(): void;
  addAll(id: string, rooms: Set<string>): void;
  broadcast(packet: Packet, options: Options): Promise<void>;
  onMessage(message: { type: number }, offset?: string): void;
};
type Socket = { client: { writeToEngine(packets: string[]): void } };
type Namespace = {
  readonly name: string;
  readonly sockets: Map<string, Socket>;
  readonly server: { encoder: { encode(packet: Packet): string[] }; opts: object };
};

async function openAdapter(url: string): Promise<{ adapter: Adapter; namespace: Namespace }> {
  // Eight for queries, as the bare loop has, and the one that listens.
  const pool = new Pool({ connectionString: url, max: 9 });
  const namespace: Namespace = {
    name: '/',
    sockets: new Map(),
    server: { encoder: { encode: ({ data: [, frame] }) => [frame] }, opts: {} },
  };
  const adapter = createAdapter(pool)(namespace) as unknown as Adapter;
  adapter.init();
  // It says nothing when it listens.
  await waitFor(() => adapter.client.client !== undefined, { message: 'the adapter to listen' });
  return { adapter, namespace };
}
