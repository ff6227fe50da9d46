import { SessionError } from '@tmcp/session-manager';
import type { DriverClient } from './driver.ts';
import { toSessionError } from './errors.ts';
import { ListeningSession } from './listening-session.ts';
import { randomChannel, randomText } from './random.ts';

/** A namespace that wants to hear of what is appended to its log. Only `prepare` and `position` may reject. */
export type Subscription = {
  /** Runs at every (re)connect, before `up`: checks the namespace and says where its notifications are sent. */
  prepare(): Promise<{ readonly channel: string; readonly lockClass: string }>;
  /** Where the log stands, for polling. */
  position(): Promise<number>;
  heard(payload: string): void;
  moved(position: number): void;
  up(): void;
  down(cause: SessionError): void;
  report(error: SessionError): void;
};

export type ListenerHost = {
  readonly timeoutMs: number;
  /** Key of the advisory locks by which other processes see that this one lives. */
  readonly lockKey: number;
  connect(): DriverClient;
  /** Sends a notification on the road that appends take. */
  notify(channel: string, payload: string): Promise<void>;
};

/** `new` until it was up for the first time; from then on it is served for ever. */
type Entry = {
  readonly subscription: Subscription;
  state: 'new' | 'up' | 'down';
  channel: string | undefined;
  /** Answers `subscribe`. */
  readonly settle: (error?: SessionError) => void;
};

const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 5_000;
const SELF_TEST_MS = 2_000;
/** The pooler may be gone by then, or the server was just slow when it was tested. */
const RETEST_MS = 300_000;

/**
 * The one connection of a process that hears notifications, for all its namespaces, and holds the advisory locks by
 * which others see that the process lives. One loop connects, serves and reconnects for ever, so attempts can never
 * multiply. It runs while there are subscriptions.
 *
 * Where notifications do not arrive (behind a transaction pooler), the heads of the logs are polled instead. That is
 * slower, but loses nothing, since a notification is only ever a short cut.
 */
export class PostgresListener {
  readonly #host: ListenerHost;
  readonly #entries = new Set<Entry>();
  readonly #testChannel = randomChannel();
  #mode: 'down' | 'listening' | 'polling' = 'down';
  #session: ListeningSession | undefined;
  #running = false;
  #skipPause: () => void = () => undefined;
  #heardTest: (nonce: string) => void = () => undefined;
  #lastFailure: string | undefined;
  #toldOfPolling = false;
  #hasListened = false;

  constructor(host: ListenerHost) {
    this.#host = host;
  }

  /** The connection on which beats are sent; `undefined` while there is none that listens. */
  get session(): ListeningSession | undefined {
    return this.#mode === 'listening' ? this.#session : undefined;
  }

  /** Resolves after the first `up`. Rejects, and forgets the subscription, when that cannot be reached now. */
  subscribe(subscription: Subscription): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle: Entry['settle'] = (error) => {
        if (error === undefined) return resolve();
        this.#entries.delete(entry);
        reject(error);
      };
      const entry: Entry = { subscription, state: 'new', channel: undefined, settle };
      this.#entries.add(entry);
      if (this.#mode !== 'down') void this.#admit(entry);
      else if (!this.#running) void this.#run();
      else this.#skipPause();
    });
  }

  /** Never rejects. */
  async unsubscribe(subscription: Subscription): Promise<void> {
    for (const entry of this.#entries) {
      if (entry.subscription !== subscription) continue;
      entry.settle(new SessionError('closed', 'this session manager was closed'));
      this.#entries.delete(entry);
      if (this.#entries.size === 0) await this.#session?.end(new Error('nobody listens any more'));
      else if (entry.channel !== undefined) await this.session?.unlisten(entry.channel).catch(() => undefined);
    }
    this.#skipPause();
  }

  async #run(): Promise<void> {
    this.#running = true;
    for (let failures = 0; this.#entries.size > 0; ) {
      failures = (await this.#attempt()) ? 0 : failures + 1;
      const pause = Math.min(FIRST_PAUSE_MS * 2 ** failures, LONGEST_PAUSE_MS);
      if (this.#entries.size > 0) await this.#pause(pause * (0.5 + Math.random() / 2));
    }
    this.#running = false;
  }

  /** Connects, and serves until the connection is lost. Tells whether it had come up. */
  async #attempt(): Promise<boolean> {
    const session = new ListeningSession(this.#host.connect(), this.#host.timeoutMs, this.#heard);
    this.#session = session;
    let cameUp = false;
    try {
      await session.connect();
      // Where it has heard notifications before, one that is late says more about the network than about a pooler.
      const hears = (await this.#hearsItself(session)) || (this.#hasListened && (await this.#hearsItself(session)));
      const mode = hears ? 'listening' : 'polling';
      if (mode === 'polling') void session.end(new Error('notifications do not arrive'));
      const joined = new Set<Entry>();
      for (let entry = this.#next(joined); entry; entry = this.#next(joined)) {
        joined.add(entry);
        await this.#join(entry, mode === 'listening' ? session : undefined);
      }
      if (this.#entries.size > 0) {
        this.#mode = mode;
        this.#hasListened ||= hears;
        this.#lastFailure = undefined;
        cameUp = true;
        for (const entry of joined) this.#up(entry);
        if (mode === 'listening') this.#down(await session.lost);
        else await this.#poll();
      }
    } catch (cause) {
      this.#down(cause);
    }
    void session.end(undefined);
    this.#session = undefined;
    return cameUp;
  }

  #next(joined: ReadonlySet<Entry>): Entry | undefined {
    for (const entry of this.#entries) if (!joined.has(entry)) return entry;
    return undefined;
  }

  /** What fails for a new subscription concerns it alone; an established one needs a new attempt. */
  async #join(entry: Entry, session: ListeningSession | undefined): Promise<void> {
    try {
      const { channel, lockClass } = await entry.subscription.prepare();
      entry.channel = channel;
      if (!session) return;
      await session.listen(channel);
      // Shared: after a reconnect it must not wait for the half-dead session that held it before.
      await session.query('select pg_advisory_lock_shared($1, $2)', [lockClass, this.#host.lockKey]);
    } catch (cause) {
      if (entry.state !== 'new') throw cause;
      entry.settle(toSessionError(cause));
    }
  }

  /** A subscription that comes while others are served. */
  async #admit(entry: Entry): Promise<void> {
    await this.#join(entry, this.session);
    if (this.#mode !== 'down') this.#up(entry);
  }

  #up(entry: Entry): void {
    if (!this.#entries.has(entry)) return;
    entry.state = 'up';
    entry.settle();
    entry.subscription.up();
  }

  #down(cause: unknown): void {
    this.#mode = 'down';
    const error = toSessionError(cause);
    const isNews = error.code !== this.#lastFailure;
    this.#lastFailure = error.code;
    for (const entry of [...this.#entries]) {
      if (entry.state === 'new') entry.settle(error);
      else if (entry.state === 'up') entry.subscription.down(error);
      else if (isNews) entry.subscription.report(error);
      entry.state = entry.state === 'up' ? 'down' : entry.state;
    }
  }

  readonly #heard = (channel: string, payload: string): void => {
    if (channel === this.#testChannel) this.#heardTest(payload);
    for (const entry of this.#entries) if (entry.channel === channel) entry.subscription.heard(payload);
  };

  /** A transaction pooler accepts LISTEN, and nothing ever arrives. */
  async #hearsItself(session: ListeningSession): Promise<boolean> {
    const nonce = randomText(16);
    await session.listen(this.#testChannel);
    const heard = new Promise<boolean>((resolve) => {
      this.#heardTest = (payload) => {
        if (payload === nonce) resolve(true);
      };
    });
    await this.#host.notify(this.#testChannel, nonce);
    const late = new Promise<boolean>((resolve) => setTimeout(resolve, SELF_TEST_MS, false).unref());
    const lost = session.lost.then((cause) => Promise.reject(cause));
    if (await Promise.race([heard, late, lost])) return true;
    // Whichever connection of the pooler listens now should not do so for ever.
    await session.unlisten(this.#testChannel).catch(() => undefined);
    return false;
  }

  /** Rejects when the server cannot be reached; resolves when it is time to test again. */
  async #poll(): Promise<void> {
    this.#reportPolling();
    const until = performance.now() + RETEST_MS;
    const positions = new Map<Entry, number>();
    while (this.#entries.size > 0 && performance.now() < until) {
      for (const entry of [...this.#entries]) {
        const position = await entry.subscription.position();
        if (entry.state === 'up' && positions.get(entry) !== position) entry.subscription.moved(position);
        positions.set(entry, position);
      }
      await this.#pause(100 + Math.random() * 150);
    }
  }

  #reportPolling(): void {
    if (this.#toldOfPolling) return;
    this.#toldOfPolling = true;
    const [entry] = this.#entries;
    entry?.subscription.report(
      new SessionError(
        'configuration',
        'notifications of PostgreSQL do not arrive, probably because a transaction pooler is in the way; set ' +
          '"listenConnectionString" to a direct connection to the same database. Until then the log is polled: ' +
          'slower, but nothing is lost',
      ),
    );
  }

  #pause(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      timer.unref();
      this.#skipPause = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
