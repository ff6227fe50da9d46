import type { BackendSettings, DriverContext } from './backend-options.ts';
import { Deadline } from './deadline.ts';
import type { FieldVault } from './encryption/field-vault.ts';
import { openVault, readEncryption, type WantedEncryption } from './encryption/open-vault.ts';
import { isProduction } from './environment.ts';
import { SessionStoreError, type WriteOutcome } from './errors.ts';
import { Mutations, tellingDriver } from './mutations.ts';
import { Reporter } from './report.ts';
import { SessionCodec } from './session-codec.ts';
import type { SessionDriver, SessionKey } from './session-driver.ts';
import { closed, saying, timedOut, unavailable } from './session-errors.ts';
import { startFailure, unanswered } from './start-failure.ts';

const NO_KEY = 'No encryption key configured: credentials are stored in plain text';

/** Whoever rejects with these has written nothing. */
const REFUSALS: ReadonlySet<string> = new Set(['config', 'schema', 'encryption', 'corrupt']);

/** What a call works with. */
export type Connected = { readonly driver: SessionDriver; readonly codec: SessionCodec; readonly vault: FieldVault };

export type CallKind = 'read' | 'write';

/**
 * A driver that is started by the first call, and by the next one when that failed. Every call settles in time and
 * rejects with nothing but a `SessionStoreError`.
 */
export class BackendConnection {
  readonly driver: SessionDriver;
  readonly reporter: Reporter;
  readonly mutations: Mutations;
  readonly #settings: BackendSettings;
  readonly #encryption: WantedEncryption;
  #started: Promise<Connected> | undefined;
  #closing: Promise<void> | undefined;
  /** Nothing is let through any more. */
  #closed = false;
  /** Work that closing waits for. */
  readonly #unfinished: Set<Promise<unknown>> = new Set();
  /** Calls that have not settled. */
  readonly #running: Set<Promise<unknown>> = new Set();

  constructor(makeDriver: (context: DriverContext) => SessionDriver, settings: BackendSettings) {
    const { pendingMs, maxPendingMs, dormantMs, operationTimeoutMs, onError } = settings;
    this.#settings = settings;
    this.#encryption = readEncryption(settings.encryption);
    this.reporter = new Reporter(onError);
    this.mutations = new Mutations(this.reporter);
    const driver = makeDriver({ pendingMs, maxPendingMs, dormantMs, operationTimeoutMs, report: this.reporter });
    this.driver = tellingDriver(driver, this.mutations);
  }

  get operationTimeoutMs(): number {
    return this.#settings.operationTimeoutMs;
  }

  /** Starts if need be, then works. @param operation names the call in errors */
  call<T>(operation: string, kind: CallKind, work: (connected: Connected) => Promise<T>): Promise<T> {
    return during(
      this.#running,
      this.#call(() => this.start(), operation, kind, work),
    );
  }

  /** A call that belongs to what has begun before: it is let through while the store is being closed. */
  callToFinish<T>(operation: string, kind: CallKind, work: (connected: Connected) => Promise<T>): Promise<T> {
    const connect = () => (this.#closed || this.#started === undefined ? this.start() : this.#started);
    return during(this.#running, this.#call(connect, operation, kind, work));
  }

  /** Keeps the driver open until the work is done, as long as one call may take. The work uses `callToFinish`. */
  holdOpen<T>(work: () => Promise<T>): Promise<T> {
    return during(this.#unfinished, work());
  }

  async #call<T>(
    connect: () => Promise<Connected>,
    operation: string,
    kind: CallKind,
    work: (connected: Connected) => Promise<T>,
  ): Promise<T> {
    const ms = this.#settings.operationTimeoutMs;
    const deadline = new Deadline(ms);
    const late = (outcome?: WriteOutcome) => () => timedOut(this.driver.backend, operation, ms, { outcome });
    const [before, after]: [WriteOutcome?, WriteOutcome?] = kind === 'write' ? ['not-applied', 'unknown'] : [];
    const notStarted = () => unanswered(late(before)());
    const connected = await this.#guard(operation, before, deadline.within(connect(), notStarted)).catch(
      saying(before),
    );
    return this.#guard(
      operation,
      after,
      deadline.within(
        settle(() => work(connected)),
        late(after),
      ),
    ).catch(saying(before, REFUSALS));
  }

  /** Walks over all keys. Every step is a call of its own: no deadline holds for all of them. */
  async *iterate(operation: string): AsyncIterable<SessionKey> {
    const keys = await this.call(operation, 'read', async ({ driver }) =>
      driver.scan(operation)[Symbol.asyncIterator](),
    );
    let running = true;
    try {
      while (running) {
        running = false;
        const next = await this.call(operation, 'read', () => keys.next());
        running = next.done !== true;
        if (next.done !== true) yield next.value;
      }
    } finally {
      // Only who leaves early ends the walk: one that failed has ended, and one that hangs could not be ended.
      if (running) await this.call(operation, 'read', async () => keys.return?.());
    }
  }

  /** Shared by all calls that come meanwhile; a failed start is forgotten. */
  start(): Promise<Connected> {
    if (this.#closing !== undefined) return Promise.reject(closed());
    this.#started ??= this.#start().catch((error: unknown) => {
      this.#started = undefined;
      throw error;
    });
    return this.#started;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #start(): Promise<Connected> {
    const vault = await openVault(this.#encryption, this.#settings.requireEncryption);
    if (!vault.hasKeys && this.driver.backend !== 'memory' && isProduction()) this.reporter.warn(NO_KEY);
    await this.driver.init().catch((error: unknown) => {
      throw startFailure(error);
    });
    return { driver: this.driver, vault, codec: new SessionCodec(vault, this.#settings.maxRecordBytes) };
  }

  async #close(): Promise<void> {
    const ms = this.#settings.operationTimeoutMs;
    const late = () => timedOut(this.driver.backend, 'disconnect', ms);
    // What is half open cannot be closed. Its failure was told to whoever started it, as was that it took too long.
    const started = this.#started?.then(ignore, ignore);
    if (started !== undefined) await new Deadline(ms).within(started, late).catch(ignore);
    // Whoever takes longer than this is told that the store is closed.
    await new Deadline(ms).within(Promise.allSettled(this.#unfinished), late).catch(ignore);
    this.#closed = true;
    // Who did not wait for a call asked for it before this one all the same. Each ends by its own deadline.
    await Promise.allSettled(this.#running);
    await this.#guard(
      'disconnect',
      undefined,
      new Deadline(ms).within(
        settle(() => this.driver.close()),
        late,
      ),
    );
  }

  async #guard<T>(operation: string, outcome: WriteOutcome | undefined, work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (cause) {
      if (SessionStoreError.is(cause)) throw cause;
      throw unavailable(this.driver.backend, operation, { cause, outcome });
    }
  }
}

function ignore(): void {}

async function during<T>(all: Set<Promise<unknown>>, one: Promise<T>): Promise<T> {
  all.add(one);
  try {
    return await one;
  } finally {
    all.delete(one);
  }
}

/** What throws at once rejects, as what throws later does. */
async function settle<T>(work: () => Promise<T>): Promise<T> {
  return work();
}
