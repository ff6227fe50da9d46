import { type DriverClient, discard, type Row, runQuery } from './driver.ts';
import { leavesConnectionUsable, toSessionError } from './errors.ts';
import { untilNoCollision, withDeadline } from './pool-calls.ts';
import { quoted } from './schema/names.ts';

/**
 * One life of the listening connection, from connect to loss. Statements run one after the other. A statement that
 * is not answered in time ends the session: a half-open connection never says that it is gone.
 */
export class ListeningSession {
  /** Resolves with the cause when the connection is gone. Never rejects. */
  readonly lost: Promise<unknown>;
  readonly #client: DriverClient;
  readonly #timeoutMs: number;
  #lose: (cause: unknown) => void = () => undefined;
  #ended: Promise<void> | undefined;
  #queue: Promise<unknown> = Promise.resolve();

  /** @param heard told of every notification; must not throw */
  constructor(client: DriverClient, timeoutMs: number, heard: (channel: string, payload: string) => void) {
    this.#client = client;
    this.#timeoutMs = timeoutMs;
    this.lost = new Promise((resolve) => {
      this.#lose = resolve;
    });
    // These stay for the life of the client: an error that nobody listens for would end the process.
    client.on('error', (cause) => void this.end(cause));
    client.on('end', () => void this.end(new Error('the listening connection was closed')));
    client.on('notification', ({ channel, payload }) => heard(channel, payload ?? ''));
  }

  async connect(): Promise<void> {
    const lost = this.lost.then((cause) => Promise.reject(cause));
    const expires = performance.now() + this.#timeoutMs;
    try {
      await withDeadline(this.#timeoutMs, expires, Promise.race([this.#client.connect(), lost]));
    } catch (cause) {
      void this.end(cause);
      throw cause;
    }
  }

  query(text: string, values: readonly unknown[] = [], timeoutMs: number = this.#timeoutMs): Promise<Row[]> {
    const expires = performance.now() + timeoutMs;
    const answer = this.#queue
      .then(() => {
        const run = (): Promise<Row[]> => runQuery(this.#client, text, values);
        return withDeadline(timeoutMs, expires, untilNoCollision(run, expires));
      })
      .catch((cause: unknown) => {
        if (!leavesConnectionUsable(cause)) void this.end(cause);
        throw toSessionError(cause);
      });
    this.#queue = answer.catch(() => undefined);
    return answer;
  }

  async listen(channel: string): Promise<void> {
    await this.query(`listen ${quoted(channel)}`);
  }

  async unlisten(channel: string): Promise<void> {
    await this.query(`unlisten ${quoted(channel)}`);
  }

  /** Idempotent, never rejects. */
  end(cause: unknown): Promise<void> {
    if (!this.#ended) {
      this.#lose(cause);
      this.#ended = discard(this.#client);
    }
    return this.#ended;
  }
}
