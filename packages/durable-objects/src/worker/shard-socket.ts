import { SessionError } from '@tmcp/session-manager';
import { CLOSE, PING, PONG, type ToShard, type ToWorker } from '../protocol.ts';
import { callShard, pause } from './calls.ts';
import type { ShardStub } from './shards.ts';

/** Idle sockets may be dropped after a minute or two, and an idle edge connection after 100 s. */
const PING_MS = 20_000;
/** After a reset all sockets of a shard come back: not all at once. */
const SPREAD_MS = 300;
const LONGEST_PAUSE_MS = 5_000;

export type ShardSocketOptions = {
  readonly stub: () => ShardStub;
  /** Path and query of the next connection. */
  readonly address: (again: boolean) => string;
  readonly connectTimeoutMs: number;
  readonly onMessage: (message: ToWorker) => void;
  /** Told when it could not come back for as long as that; it goes on trying. */
  readonly report: (error: SessionError) => void;
  /** Called when a socket that broke has been replaced. */
  readonly onReconnect: () => void;
};

/**
 * The Worker's side of one stream's connection to its shard. Once opened it comes back whenever it breaks, for as long
 * as the stream lasts: resets and deploys of the object cost time, not the client's response.
 */
export class ShardSocket {
  readonly #options: ShardSocketOptions;
  #socket: WebSocket | undefined;
  #closed = false;
  #reconnecting = false;
  #pingedAt = 0;
  #heardAt = 0;
  reconnects = 0;

  constructor(options: ShardSocketOptions) {
    this.#options = options;
  }

  /** @throws SessionError when no connection could be made in time */
  async open(): Promise<void> {
    await this.#connect(false);
  }

  /** What cannot be sent now is not sent: whoever answers asks again after a reconnect. */
  send(message: ToShard): void {
    this.#sendText(JSON.stringify(message));
  }

  /** Keeps the connection in use, and replaces it when nothing comes back. */
  tick(): void {
    const now = performance.now();
    if (this.#closed || this.#reconnecting || now - this.#pingedAt < PING_MS) return;
    if (this.#heardAt < this.#pingedAt && now - this.#heardAt > 2 * PING_MS) {
      this.#drop();
      return;
    }
    this.#pingedAt = now;
    this.#sendText(PING);
  }

  /** Gives up this connection for a new one. */
  reopen(): void {
    this.#drop();
  }

  close(code: number = CLOSE.released): void {
    this.#closed = true;
    this.#discard(code);
  }

  async #connect(again: boolean): Promise<void> {
    const { stub, address, connectTimeoutMs } = this.#options;
    const socket = await callShard(connectTimeoutMs, () => openSocket(stub(), address(again)));
    if (this.#closed) {
      socket.accept();
      socket.close(CLOSE.released);
      return;
    }
    this.#socket = socket;
    this.#heardAt = performance.now();
    this.#pingedAt = this.#heardAt;
    socket.addEventListener('message', ({ data }) => this.#heard(socket, data));
    socket.addEventListener('close', () => this.#broke(socket));
    socket.addEventListener('error', () => this.#broke(socket));
    socket.accept();
  }

  #heard(socket: WebSocket, data: string | ArrayBuffer): void {
    if (socket !== this.#socket) return;
    this.#heardAt = performance.now();
    if (data !== PONG) this.#options.onMessage(JSON.parse(String(data)) as ToWorker);
  }

  #broke(socket: WebSocket): void {
    if (socket !== this.#socket) return;
    this.#drop();
  }

  #drop(): void {
    this.#discard(CLOSE.released);
    if (!this.#closed && !this.#reconnecting) void this.#comeBack();
  }

  async #comeBack(): Promise<void> {
    this.#reconnecting = true;
    for (let failures = 0; !this.#closed; failures += 1) {
      await pause(Math.min(LONGEST_PAUSE_MS, SPREAD_MS * 2 ** failures) * Math.random());
      if (this.#closed || (await this.#connectsAgain())) break;
    }
    this.#reconnecting = false;
    if (this.#closed) return;
    this.reconnects += 1;
    this.#options.onReconnect();
  }

  /** Whatever went wrong: the stream lasts, so does this, and what it misses stands in the log. */
  async #connectsAgain(): Promise<boolean> {
    try {
      await this.#connect(true);
      return true;
    } catch (cause) {
      this.#discard(CLOSE.released);
      const message = 'a stream cannot come back to its shard; it goes on trying';
      if (!this.#closed) this.#options.report(new SessionError('unavailable', message, { cause }));
      return false;
    }
  }

  #sendText(text: string): void {
    try {
      this.#socket?.send(text);
    } catch {
      // It broke, which its close event says as well, or this is a call from another request.
    }
  }

  #discard(code: number): void {
    const socket = this.#socket;
    this.#socket = undefined;
    try {
      socket?.close(code);
    } catch {
      // It is closed already, or belongs to another request, whose own tick closes it.
    }
  }
}

async function openSocket(stub: ShardStub, address: string): Promise<WebSocket> {
  const response = await stub.fetch(`https://shard${address}`, { headers: { Upgrade: 'websocket' } });
  if (!response.webSocket) {
    throw new SessionError('refused', `a shard did not open a WebSocket (status ${response.status})`);
  }
  return response.webSocket;
}
