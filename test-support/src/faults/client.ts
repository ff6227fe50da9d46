import type { Ledger } from './ledger.ts';
import type { Frame, Line } from './line.ts';
import { isMessage } from './line.ts';
import type { TestNode } from './test-node.ts';

export type ConnectOptions = {
  /** Names the last event that was read. */
  readonly resume?: boolean;
  /** Names this event. */
  readonly lastEventId?: string | undefined;
  /** Promise 1 allows this stream to begin with what the client has seen: its process died and it names no event. */
  readonly mayRepeat?: boolean;
};

/** One stream of a session, as its client saw it. */
export type Connection = {
  readonly line: Line;
  readonly node: TestNode;
  readonly opened: number;
  /** Set when its `create` resolved. */
  created: number | undefined;
  readonly mayRepeat: boolean;
  /** What the client has got of it: from the moment it moved on, nothing more. */
  frames: readonly Frame[];
  left: boolean;
};

/** A client of one session: opens streams, one at a time, and remembers what it got. */
export class Client {
  readonly session: string;
  readonly connections: Connection[] = [];
  /** When its session was ended on purpose. */
  retired: number | undefined;
  readonly #ledger: Ledger;

  constructor(ledger: Ledger, session: string) {
    this.#ledger = ledger;
    this.session = session;
  }

  get connection(): Connection {
    const newest = this.connections.at(-1);
    if (!newest) throw new Error('the client has not connected yet');
    return newest;
  }

  get line(): Line {
    return this.connection.line;
  }

  /** Everything it got, over all streams. */
  get frames(): Frame[] {
    return this.connections.flatMap(({ frames }) => frames);
  }

  get labels(): string[] {
    return this.frames.filter(isMessage).map(({ label }) => label);
  }

  get hints(): number {
    return this.frames.filter((frame) => !isMessage(frame)).length;
  }

  get lastEventId(): string | undefined {
    return this.frames.findLast(({ id }) => id !== undefined)?.id;
  }

  /**
   * Opens a stream on a node, and resolves as its `create` does. A client that names an event does not read on elsewhere; one
   * that names none reads the stream before to its end.
   */
  async connect(node: TestNode, { resume = false, mayRepeat = false, ...named }: ConnectOptions = {}): Promise<void> {
    const lastEventId = named.lastEventId ?? (resume ? this.lastEventId : undefined);
    if (lastEventId !== undefined) this.moveOn();
    const opened = this.#ledger.now();
    const line = node.open(this.session, lastEventId);
    const connection: Connection = {
      line,
      node,
      opened,
      created: undefined,
      mayRepeat,
      frames: line.frames,
      left: false,
    };
    this.connections.push(connection);
    await line.created;
    connection.created = this.#ledger.now();
  }

  /** Stops reading, without closing anything, as behind connections that are half open. */
  moveOn(): void {
    for (const connection of this.connections) {
      if (!connection.left) connection.frames = [...connection.frames];
      connection.left = true;
    }
  }

  /**
   * The network has swallowed the last frames of the newest stream: to be followed by `connect` with `resume`. Never the only
   * frame it ever got, for then it could name no event.
   */
  tear(count: number): void {
    this.moveOn();
    const connection = this.connections.at(-1);
    if (!connection) return;
    const most = Math.min(count, connection.frames.length, this.frames.length - 1);
    if (most > 0) connection.frames = connection.frames.slice(0, -most);
  }

  /** Closes its connection. What was on its way comes only to a client that names its last event. */
  async disconnect(): Promise<void> {
    this.moveOn();
    await this.line.cancel();
  }
}
