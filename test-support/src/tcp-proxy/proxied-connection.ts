import { connect, type Socket } from 'node:net';
import { Lane } from './lane.ts';
import { reset } from './reset.ts';

/** `up` is from the client to the server, `down` the way back. */
export type Direction = 'up' | 'down';

/** Directions in which nothing passes. */
export type Blackhole = Direction | 'both' | false;

/** What the proxy decides for all of its connections. */
export interface ProxyRules {
  readonly delayMs: () => number;
  readonly blackhole: () => Blackhole;
  /** Sees each chunk before it is passed on; `false` drops it. */
  readonly inspect: (connection: ProxiedConnection, direction: Direction, chunk: Buffer) => boolean;
}

/** One client connection through the proxy, and the one to the server that belongs to it. */
export class ProxiedConnection {
  /** Counts up from 1 in the order of arrival. */
  readonly id: number;
  /** What `TcpProxy.label` found in what the client sent. */
  readonly labels: Set<string> = new Set();
  /** Resolves when both sides are closed. */
  readonly closed: Promise<void>;
  readonly #client: Socket;
  readonly #server: Socket;
  readonly #lanes: Readonly<Record<Direction, Lane>>;
  #blackhole: Blackhole = false;

  constructor(id: number, client: Socket, target: { host: string; port: number }, rules: ProxyRules) {
    this.id = id;
    this.#client = client;
    this.#server = connect({ ...target, allowHalfOpen: true, noDelay: true });
    const closed = [client, this.#server].map((socket) => new Promise((resolve) => socket.once('close', resolve)));
    this.closed = Promise.all(closed).then(() => undefined);
    const lane = (direction: Direction, source: Socket, destination: Socket) =>
      new Lane(source, destination, {
        delayMs: rules.delayMs,
        isShut: () => covers(rules.blackhole(), direction) || covers(this.#blackhole, direction),
        inspect: (chunk) => rules.inspect(this, direction, chunk),
      });
    this.#lanes = { up: lane('up', client, this.#server), down: lane('down', this.#server, client) };
  }

  /** Resets both sides, as a broken network or a dying host would. */
  destroy(): void {
    reset(this.#client);
    reset(this.#server);
  }

  /** Half-open: nothing passes in that direction, not even the end of the connection, until it is set to `false`. */
  blackhole(blackhole: Blackhole): void {
    this.#blackhole = blackhole;
    this.flush();
  }

  /** Lets pass what may pass now. The proxy calls it when its rules have changed. */
  flush(): void {
    this.#lanes.up.flush();
    this.#lanes.down.flush();
  }
}

function covers(blackhole: Blackhole, direction: Direction): boolean {
  return blackhole === 'both' || blackhole === direction;
}
