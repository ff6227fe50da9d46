import { SessionError } from '../errors.ts';
import { guardErrorHandler } from '../on-error.ts';
import type { Backplane, BackplaneListener } from './backplane.ts';
import type { OutgoingControl, OutgoingPayload } from './batch.ts';
import { backOffMs, sleep } from './clock.ts';
import { withDeadline } from './deadline.ts';
import type { DeliverySettings } from './delivery-options.ts';
import { Heartbeat } from './heartbeat.ts';
import { LogReader, type NotificationConsumer, type StreamConsumer } from './log-reader.ts';
import { type Found, LogSearch } from './log-search.ts';
import { type Appended, Outbox } from './outbox.ts';
import type { RecentParts } from './recent-parts.ts';
import { randomId } from './text.ts';

export type NodeState = 'idle' | 'opening' | 'open' | 'closing' | 'closed';

/** For a readiness probe. */
export type Health = {
  readonly ok: boolean;
  readonly error: SessionError | undefined;
  /** How the backend is set up to weaken a promise; each names the setting. */
  readonly warnings: readonly SessionError[];
};

export type NodeStats = {
  readonly state: NodeState;
  /** Messages that were handed in here. */
  readonly sent: number;
  /** Parts that arrived although they had been acted on. */
  readonly duplicates: number;
  readonly discontinuities: number;
  readonly backlogBytes: number;
  /** Operations that this node knows of and has not read. */
  readonly lag: number;
  readonly cursor: number;
  readonly failedBeats: number;
};

/**
 * One process on the log of one namespace: an outbox that writes, a reader that acts on what is written, a heartbeat
 * that proves that nothing is missing. It opens at the first call, waits for a backend that is not there yet, and
 * closes with the last of its managers.
 */
export class DeliveryNode {
  readonly settings: DeliverySettings;
  readonly backplane: Backplane;
  readonly #reader: LogReader;
  readonly #heartbeat: Heartbeat;
  readonly #outbox: Outbox;
  readonly #search: LogSearch;
  readonly #onError: (error: SessionError) => void;

  #id: string | undefined;
  #streams: StreamConsumer | undefined;
  #notifications: NotificationConsumer | undefined;
  #tenants = 0;
  #state: NodeState = 'idle';
  #openFailure: unknown;
  /** `until` is when its caller stops waiting, of `performance.now()`. */
  #waiters: { resolve: () => void; reject: (error: unknown) => void; until: number }[] = [];
  #closing: Promise<void> | undefined;
  #sent = 0;

  /** @throws SessionError `invalid-option` when the settings contradict each other */
  constructor(backplane: Backplane, settings: DeliverySettings) {
    assertConsistent(settings);
    this.backplane = backplane;
    this.settings = settings;
    this.#onError = guardErrorHandler(settings.onError);
    this.#search = new LogSearch(backplane);
    const shared = {
      streams: () => this.#streams,
      notifications: () => this.#notifications,
      report: (error: unknown) => this.report(error),
    };
    this.#reader = new LogReader(backplane, {
      ...shared,
      mayDeliver: () => this.mayDeliver(),
      isReading: () => this.#state === 'open',
      beat: () => this.#heartbeat.beat(),
      adoptEpoch: () => this.#heartbeat.adoptEpoch(),
      discontinue: (...why) => this.#heartbeat.discontinue(...why),
    });
    this.#heartbeat = new Heartbeat(backplane, this.#reader, settings, {
      ...shared,
      node: () => this.id,
      isBeating: () => this.#state === 'open',
      claimHold: () => this.#outbox.claimHold,
      renewProducer: () => this.#outbox.renewProducer(),
    });
    this.#outbox = new Outbox({
      sendTimeoutMs: settings.sendTimeoutMs,
      maxOutboxBytes: settings.maxOutboxBytes,
      partBytes: backplane.limits.partBytes,
      batchBytes: backplane.limits.batchBytes,
      cursor: () => this.#reader.cursor,
      ready: async () => {
        await this.#opened(Number.POSITIVE_INFINITY);
        await this.#heartbeat.inPlace();
      },
      epoch: () => this.#reader.epoch,
      append: (batch) => backplane.append({ ...batch, node: this.id }),
      putLarge: (id, payload) => backplane.putLarge(id, payload),
      epochChanged: () => this.#heartbeat.adoptEpoch(),
      gap: () => void this.#heartbeat.forgotten(),
      failure: () => this.#openFailure,
    });
  }

  /** Random, and not before it is needed: Workers have no random numbers where modules are loaded. */
  get id(): string {
    this.#id ??= randomId();
    return this.#id;
  }

  get epoch(): string {
    return this.#reader.epoch;
  }

  /** Every operation up to this position was acted on. */
  get cursor(): number {
    return this.#reader.cursor;
  }

  /** Operations up to this position were never acted on here: the node took the log as it was. */
  get adoptedAt(): number {
    return this.#reader.adoptedAt;
  }

  /** Whether this node is about to take the log as it is, wherever it has got to. */
  get isAdopting(): boolean {
    return this.#heartbeat.isAdopting;
  }

  /** Everything up to this position may have been trimmed. */
  get trimmed(): number {
    return this.#reader.trimmed;
  }

  get recent(): RecentParts {
    return this.#reader.recent;
  }

  get isOpen(): boolean {
    return this.#state === 'open';
  }

  get keepsLog(): boolean {
    return this.backplane.limits.keepsLog;
  }

  /** Takes the place of the stream holder. A node has one. */
  attachStreams(consumer: StreamConsumer): void {
    if (this.#streams) throw new SessionError('invalid-option', 'this node has a stream manager already');
    this.#streams = consumer;
    this.#tenants += 1;
  }

  /** Takes the place of the subscription manager. A node has one. */
  attachNotifications(consumer: NotificationConsumer): void {
    if (this.#notifications) throw new SessionError('invalid-option', 'this node has a subscription manager already');
    this.#notifications = consumer;
    this.#tenants += 1;
  }

  /** A manager is done with this node; the last one closes it. */
  async detach(): Promise<void> {
    this.#tenants -= 1;
    if (this.#tenants <= 0) await this.close();
    else await this.flushed();
  }

  /** Hands an error to `onError`. */
  report(error: unknown): void {
    this.#onError(
      SessionError.is(error) ? error : new SessionError('unavailable', 'the backend failed', { cause: error }),
    );
  }

  /**
   * Resolves once the node has its place on the log.
   *
   * @throws SessionError the reason, when the backend refuses; `unavailable` after `sendTimeoutMs`; `closed`
   */
  async ready(): Promise<void> {
    if (this.#state === 'open') return;
    const { sendTimeoutMs } = this.settings;
    await withDeadline(this.#opened(performance.now() + sendTimeoutMs), sendTimeoutMs, () => {
      const cause = this.#openFailure;
      if (SessionError.is(cause)) return cause;
      return new SessionError('unavailable', 'the backend cannot be reached', { cause });
    });
  }

  /** Brings a payload into the log. */
  send(operation: OutgoingPayload): Promise<Appended> {
    this.#start();
    this.#sent += 1;
    return this.#outbox.send(operation);
  }

  /** Brings a control operation into the log. */
  control(operation: OutgoingControl): Promise<Appended> {
    this.#start();
    return this.#outbox.control(operation);
  }

  /** Takes back a control operation that is not on its way yet. */
  withdraw(operation: OutgoingControl): boolean {
    return this.#outbox.withdraw(operation);
  }

  /** Resolves when everything that was handed in is stored, with false after the deadline. Never rejects. */
  async flushed(): Promise<boolean> {
    const { sendTimeoutMs } = this.settings;
    const late = (): SessionError =>
      new SessionError('timeout', 'what waited could not be stored within "sendTimeoutMs"');
    try {
      await withDeadline(this.#outbox.flushed(), sendTimeoutMs, late);
      return true;
    } catch (error) {
      this.report(error);
      return false;
    }
  }

  /** Whether frames may be handed out now. */
  mayDeliver(): boolean {
    return (this.#state === 'open' || this.#state === 'closing') && this.#heartbeat.mayDeliver();
  }

  /** Searches the log for a session, at a bounded cost whatever the number of streams that start. */
  search(session: string, after: number, upTo: number): Promise<Found> {
    return this.#search.find(session, after, upTo);
  }

  /** Resolves when everything that was in the log at the time of the call has been acted on. */
  async caughtUp(): Promise<void> {
    while (this.#state === 'open' && !(await this.#heartbeat.beatAnew())) await sleep(100);
    const target = this.#reader.heardOf;
    const { generation } = this.#heartbeat;
    const isBehind = (): boolean => this.cursor < target && this.#heartbeat.generation === generation;
    while (this.#state === 'open' && isBehind()) await sleep(10);
  }

  stats(): NodeStats {
    return {
      state: this.#state,
      sent: this.#sent,
      duplicates: this.#reader.duplicates,
      discontinuities: this.#heartbeat.discontinuities,
      backlogBytes: this.#outbox.backlogBytes,
      lag: Math.max(0, this.#reader.heardOf - this.#reader.cursor),
      cursor: this.#reader.cursor,
      failedBeats: this.#heartbeat.failedBeats,
    };
  }

  /** Whether the backend answered lately. Never rejects. */
  async health(): Promise<Health> {
    const error = await this.#failure();
    return { ok: error === undefined, error, warnings: this.backplane.warnings ?? [] };
  }

  async #failure(): Promise<SessionError | undefined> {
    // A probe is not kept waiting for a backend that is known to be away.
    if (this.#state === 'opening' && SessionError.is(this.#openFailure)) return this.#openFailure;
    try {
      await this.ready();
    } catch (error) {
      return SessionError.is(error) ? error : closedError();
    }
    return this.#heartbeat.isFresh ? undefined : new SessionError('unavailable', 'the last heartbeat is too old');
  }

  /** Stores what waits, leaves, closes the backplane. Idempotent, never rejects. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const isStored = this.#state === 'idle' || (await this.flushed());
    if (this.#state === 'open') {
      this.#state = 'closing';
      await this.#heartbeat.stop();
      // What could not be given back is taken as from a dead node: then its written cursor still counts.
      if (isStored) await this.#leave();
    }
    this.#state = 'closed';
    this.#outbox.close(closedError());
    for (const { reject } of this.#waiters.splice(0)) reject(closedError());
    await this.backplane.close();
  }

  async #leave(): Promise<void> {
    const late = (): SessionError => new SessionError('timeout', 'the backend did not answer the goodbye');
    await withDeadline(this.backplane.leave(this.id), this.settings.sendTimeoutMs, late).catch((error) =>
      this.report(error),
    );
  }

  #start(): void {
    if (this.#state !== 'idle') return;
    this.#state = 'opening';
    void this.#open();
  }

  #opened(until: number): Promise<void> {
    this.#start();
    if (this.#state === 'open' || this.#state === 'closing') return Promise.resolve();
    if (this.#state === 'closed') return Promise.reject(closedError());
    return new Promise((resolve, reject) => this.#waiters.push({ resolve, reject, until }));
  }

  /** Opens the backplane and registers at the head, as often as it takes. */
  async #open(): Promise<void> {
    let isOpen = false;
    for (let attempt = 0; this.#state === 'opening'; attempt += 1) {
      try {
        if (!isOpen) await this.backplane.open(this.id, this.#listener);
        isOpen = true;
        await this.#heartbeat.register();
        break;
      } catch (error) {
        if (this.#state !== 'opening') return; // it was closed meanwhile, and so was its backplane
        this.#openFailure = error;
        this.report(error);
        this.#refuseImpatient(error);
        await sleep(backOffMs(attempt, 50, 5_000));
      }
    }
    if (this.#state !== 'opening') return;
    this.#openFailure = undefined;
    this.#state = 'open';
    this.#heartbeat.start();
    for (const { resolve } of this.#waiters.splice(0)) resolve();
    this.#reader.readOn();
  }

  /**
   * A backend that answers "no" will not say yes in a moment: callers that can be told are told now. Those who have
   * stopped waiting are forgotten: during a long outage they come without end.
   */
  #refuseImpatient(error: unknown): void {
    const isNo = SessionError.is(error) && error.code !== 'unavailable' && error.code !== 'timeout';
    const time = isNo ? Number.MAX_VALUE : performance.now();
    for (const { reject } of this.#waiters.filter(({ until }) => until <= time)) reject(error);
    this.#waiters = this.#waiters.filter(({ until }) => until > time);
  }

  readonly #listener: BackplaneListener = {
    // What is heard while this node takes its place tells it how far to read then.
    parts: (parts) => {
      if (this.#state === 'open' || this.#state === 'opening') this.#reader.arrived(parts);
    },
    wake: (head) => {
      if (this.#state === 'open' || this.#state === 'opening') this.#reader.heard(head);
    },
    connected: () => {
      if (this.#state !== 'open') return;
      this.#outbox.retryNow();
      this.#reader.heard(undefined);
      void this.#heartbeat.beatAnew();
    },
    disconnected: (cause) => {
      this.report(
        SessionError.is(cause)
          ? cause
          : new SessionError('unavailable', 'the connection to the backend was lost; reconnecting', { cause }),
      );
      // Another road may be open. Others must not take this node for dead only because it lost that connection.
      if (this.#state === 'open') void this.#heartbeat.beatAnew();
    },
    report: (error) => this.report(error),
  };
}

/** A process that beats more rarely than others wait for its beat would lose its sessions all the time. */
function assertConsistent({ heartbeatMs, sessionTimeoutMs }: DeliverySettings): void {
  if (heartbeatMs < sessionTimeoutMs) return;
  throw new SessionError(
    'invalid-option',
    `"heartbeatMs" (${heartbeatMs}) must be below "sessionTimeoutMs" (${sessionTimeoutMs}), best a third of it`,
  );
}

function closedError(): SessionError {
  return new SessionError('closed', 'this session manager was closed');
}
