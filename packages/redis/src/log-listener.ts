import { type Part, SessionError } from '@tmcp/session-manager';
import type { Redis } from './driver.ts';
import { toSessionError } from './errors.ts';
import { decodeEntries } from './parts.ts';
import type { RedisConnection } from './redis-connection.ts';

export type LogListenerHost = {
  /** Where the log is now; makes sure that there is one. */
  position(): Promise<number>;
  heard(parts: readonly Part[]): void;
  up(): void;
  down(cause: unknown): void;
};

/** How long one read waits for something new. */
const BLOCK_MS = 2_000;
/** A read may answer up to that many parts of up to 256 KiB, far below what Redis lets lie for a subscriber (32 MiB). */
const MOST_PARTS = 64;
const FEW_BYTES = 1024 * 1024;
const MANY_BYTES = 4 * 1024 * 1024;
/** Where so many reads in a row found something at once, the log is busy: then each waits a moment and brings more. */
const BUSY_AFTER = 4;
const AT_ONCE_MS = 1;
const BREATHER_MS = 1;
const FIRST_RETRY_MS = 50;
const LONGEST_RETRY_MS = 5_000;

/**
 * Reads a log as it grows, over a connection of its own that waits for the next part. The connection is subscribed to
 * the node's channel as well: that the subscriber is gone shows others that this process is.
 *
 * Each connection lives once. When it ends for whatever reason (a fail-over, a slot that moved, silence), the next one
 * is made, to wherever the log is then, for ever, until `close()`.
 */
export class LogListener {
  readonly #connection: RedisConnection;
  readonly #log: string;
  readonly #channel: string;
  readonly #host: LogListenerHost;
  #position = 0;
  #redis: Redis | undefined;
  #isUp = false;
  #life = 0;
  /** The newest life that was seen where the log is. */
  #lifeSeen = 0;
  /** Whether this connection had an answer to a read. */
  #hasRead = false;
  #isClosed = false;
  #wake: (() => void) | undefined;
  #ended: Promise<void> = Promise.resolve();

  constructor(connection: RedisConnection, log: string, channel: string, host: LogListenerHost) {
    this.#connection = connection;
    this.#log = log;
    this.#channel = channel;
    this.#host = host;
  }

  /** Whether this node can be seen to live. */
  get isUp(): boolean {
    return this.#isUp;
  }

  /** Which of its connections this one has, counted from 1. */
  get life(): number {
    return this.#life;
  }

  /** Everything up to this position was handed over, or is read by the node: it lay there when this connected. */
  get position(): number {
    return this.#position;
  }

  /** Resolves when it listens for the first time. May be called again after it rejected. */
  async start(): Promise<void> {
    this.#position = await this.#host.position();
    const redis = await this.#connect();
    this.#ended = this.#live(redis);
  }

  /** What this process wrote is stored: where it is what comes next, it need not travel back. */
  wrote(parts: readonly Part[]): void {
    const news = parts.filter(({ last }) => last > this.#position);
    const [first] = news;
    if (first && this.#isUp && first.last - first.count === this.#position) this.#handOver(news);
  }

  /** The log began anew: nothing will ever come after where this reader stands. */
  restart(position: number): void {
    this.#position = position;
    endConnection(this.#redis);
  }

  /**
   * The server that answers calls was asked whether this reader is subscribed there. One that was and is not any more
   * reads on from a server that calls have left: others would take this process for gone, and nothing new would come.
   */
  looked(life: number, isSubscribed: boolean): void {
    if (life !== this.#life || !this.#isUp) return;
    if (isSubscribed) this.#lifeSeen = life;
    else if (this.#lifeSeen === life) endConnection(this.#redis);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    endConnection(this.#redis);
    this.#wake?.();
    await this.#ended;
  }

  /** @throws SessionError */
  async #connect(): Promise<Redis> {
    let redis: Redis | undefined;
    const timeoutMs = this.#connection.callTimeoutMs;
    const late = setTimeout(() => endConnection(redis), timeoutMs);
    try {
      redis = await this.#connection.connectTo(this.#log, BLOCK_MS + timeoutMs);
      this.#redis = redis;
      await redis.connect();
      await redis.subscribe(this.#channel);
      this.#assertOpen();
      this.#isUp = true;
      this.#life += 1;
      return redis;
    } catch (error) {
      endConnection(redis);
      throw toSessionError(error);
    } finally {
      clearTimeout(late);
    }
  }

  async #live(first: Redis): Promise<void> {
    let inVain = 0;
    for (let redis: Redis | undefined = first; redis; ) {
      this.#hasRead = false;
      this.#host.up();
      const cause = await this.#readOn(redis);
      this.#isUp = false;
      endConnection(redis);
      if (this.#isClosed) return;
      this.#host.down(cause);
      inVain = this.#hasRead ? 0 : inVain + 1;
      redis = await this.#reconnect(inVain);
    }
  }

  /** @param inVain how many connections in a row were made, and ended before they had read anything */
  async #reconnect(inVain: number): Promise<Redis | undefined> {
    // One may have been cut. What Redis refuses to each, as one whose rights were taken, is not to be asked all the time.
    if (inVain > 1) await this.#pauseBefore(inVain - 2);
    for (let attempt = 0; !this.#isClosed; attempt += 1) {
      try {
        // Before anything is read from what may be another server: has it the log that this node knows?
        const head = await this.#host.position();
        const redis = await this.#connect();
        // What came before is read by the node. Here an answer that the server does not get rid of would be asked for for ever.
        this.#position = head;
        return redis;
      } catch {
        // Said when the connection was lost; beats and calls say it again as long as it lasts.
        await this.#pauseBefore(attempt);
      }
    }
    return undefined;
  }

  /** @returns why it ended */
  async #readOn(redis: Redis): Promise<unknown> {
    const log = this.#connection.named(this.#log);
    let count = 1;
    let atOnce = 0;
    try {
      while (!this.#isClosed) {
        const asked = performance.now();
        const from = `${this.#position}-0`;
        const reply = await redis.call('XREAD', 'COUNT', count, 'BLOCK', BLOCK_MS, 'STREAMS', log, from);
        if (this.#isClosed || redis !== this.#redis || redis.status !== 'ready') break;
        this.#hasRead = true;
        const parts = decodeEntries(reply === null ? [] : entriesOf(reply));
        const bytes = parts.reduce((sum, { head, data }) => sum + head.length + data.length, 0);
        if (bytes > MANY_BYTES) count = Math.max(1, count >> 1);
        else if (bytes < FEW_BYTES) count = Math.min(MOST_PARTS, count * 2);
        // What this process wrote meanwhile may be among them, and was handed over.
        this.#handOver(parts.filter(({ last }) => last > this.#position));
        atOnce = performance.now() - asked < AT_ONCE_MS ? atOnce + 1 : 0;
        if (atOnce >= BUSY_AFTER && parts.length < count) await this.#pause(BREATHER_MS);
      }
    } catch (error) {
      return toSessionError(error);
    }
    return new SessionError('unavailable', 'the reading connection to Redis was ended');
  }

  #handOver(parts: readonly Part[]): void {
    const newest = parts.at(-1);
    if (!newest) return;
    this.#position = newest.last;
    this.#host.heard(parts);
  }

  #pauseBefore(attempt: number): Promise<void> {
    return this.#pause(Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** attempt) * (0.5 + Math.random() / 2));
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      timer.unref();
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #assertOpen(): void {
    if (this.#isClosed) throw new SessionError('closed', 'this session manager was closed');
  }
}

/** The one stream of a reply: a pair of key and entries, in a list of one, or as the map it is with RESP3. */
function entriesOf(reply: unknown): unknown {
  const [first, second] = reply as [unknown, unknown];
  return Array.isArray(first) ? first[1] : second;
}

/** Asked twice, the driver waits two seconds for the end of a socket that is gone, and keeps the process alive with it. */
function endConnection(redis: Redis | undefined): void {
  if (redis !== undefined && redis.status !== 'end') redis.disconnect();
}
