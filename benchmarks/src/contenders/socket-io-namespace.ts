/** What an adapter of socket.io touches of a namespace, and no more: no engine, no encoder. */
export type Namespace = {
  readonly name: string;
  readonly sockets: Map<string, { client: { writeToEngine(packets: string[]): void } }>;
  readonly server: { encoder: { encode(packet: Packet): string[] }; opts: object };
};

export type Adapter = {
  init(): void;
  addAll(id: string, rooms: Set<string>): void;
  broadcast(packet: Packet, options: BroadcastOptions): unknown;
};

type Packet = { type: number; data: [name: string, frame: string] };
type BroadcastOptions = { rooms: Set<string>; except: Set<string>; flags: object };

const EVENT = 2;
const encoder = new TextEncoder();

/** The type of a message between servers that carries a broadcast. */
export const BROADCAST = 3;

export function makeNamespace(): Namespace {
  return {
    name: '/',
    sockets: new Map(),
    server: { encoder: { encode: ({ data: [, frame] }) => [frame] }, opts: {} },
  };
}

/** Sends to one room, as `io.to(room).emit()` does. */
export function emit(adapter: Adapter, room: string, frame: string): unknown {
  const packet: Packet = { type: EVENT, data: ['message', frame] };
  return adapter.broadcast(packet, { rooms: new Set([room]), except: new Set(), flags: {} });
}

/** Has a socket join the room of its own name. */
export function join(
  namespace: Namespace,
  adapter: Adapter,
  session: string,
  controller: ReadableStreamDefaultController<Uint8Array>,
): void {
  const writeToEngine = ([frame = '']: string[]): void => controller.enqueue(encoder.encode(frame));
  namespace.sockets.set(session, { client: { writeToEngine } });
  adapter.addAll(session, new Set([session]));
}
