import type {
  AppendAnswer,
  Backplane,
  BackplaneLimits,
  BackplaneListener,
  Batch,
  Beat,
  BeatAnswer,
  Liveness,
  LogPage,
  MaintenanceAnswer,
  MaintenanceRequest,
  SearchPage,
} from '../delivery/backplane.ts';
import { SessionError } from '../errors.ts';
import { InProcessLog } from './in-process-log.ts';

const SEARCH_LIMIT = 64;

/** The logs of one process, one per namespace. Managers that share a hub share sessions. */
export class InProcessHub {
  readonly #logs = new Map<string, { log: InProcessLog; listeners: Map<InProcessBackplane, BackplaneListener> }>();

  /** @internal */
  namespace(name: string): { log: InProcessLog; listeners: Map<InProcessBackplane, BackplaneListener> } {
    const known = this.#logs.get(name);
    if (known) return known;
    const made = { log: new InProcessLog(), listeners: new Map() };
    this.#logs.set(name, made);
    return made;
  }
}

export type InProcessBackplaneOptions = {
  readonly hub?: InProcessHub | undefined;
  readonly namespace?: string | undefined;
  readonly sessionTimeoutMs?: number | undefined;
  /** @default no bound but that of the maintenance */
  readonly maxLogBytes?: number | undefined;
};

/** The backplane of one process: no socket, no store, the same rules. */
export class InProcessBackplane implements Backplane {
  readonly limits: BackplaneLimits = { partBytes: 256 * 1024, batchBytes: 256 * 1024, keepsLog: true };
  readonly #log: InProcessLog;
  readonly #listeners: Map<InProcessBackplane, BackplaneListener>;
  readonly #sessionTimeoutMs: number;
  readonly #maxLogBytes: number;
  #closed = false;

  constructor({
    hub = new InProcessHub(),
    namespace = 'default',
    sessionTimeoutMs = 10_000,
    maxLogBytes = Number.POSITIVE_INFINITY,
  }: InProcessBackplaneOptions = {}) {
    const { log, listeners } = hub.namespace(namespace);
    this.#log = log;
    this.#listeners = listeners;
    this.#sessionTimeoutMs = sessionTimeoutMs;
    this.#maxLogBytes = maxLogBytes;
  }

  async open(_node: string, listener: BackplaneListener): Promise<void> {
    this.#assertOpen();
    this.#listeners.set(this, listener);
  }

  async beat({ node, cursor, check }: Beat): Promise<BeatAnswer> {
    this.#assertOpen();
    const log = this.#log;
    const row = log.nodes.get(node);
    const time = performance.now();
    if (row || cursor === undefined)
      log.nodes.set(node, {
        beatAt: time,
        beats: (row?.beats ?? 0) + 1,
        cursor: cursor ?? Math.min(row?.cursor ?? log.head, log.head),
      });
    return {
      epoch: log.epoch,
      head: log.head,
      trimmed: log.trimmed,
      token: log.tokenAt(check ?? log.head),
      unknown: row === undefined,
      time,
    };
  }

  async append(batch: Batch): Promise<AppendAnswer> {
    this.#assertOpen();
    const { answer, stored } = this.#log.append(batch);
    this.#log.boundTo(this.#maxLogBytes);
    if (stored.length > 0) {
      for (const [backplane, listener] of [...this.#listeners]) {
        // Not in this tick: what the caller does after its send runs first, as with every other backend.
        queueMicrotask(() => {
          if (!backplane.#closed) listener.parts(stored);
        });
      }
    }
    return answer;
  }

  async read(after: number): Promise<LogPage> {
    this.#assertOpen();
    return { epoch: this.#log.epoch, parts: this.#log.page(after), trimmed: this.#log.trimmed };
  }

  async search(session: string, after: number, upTo: number): Promise<SearchPage> {
    this.#assertOpen();
    const needles = [JSON.stringify(session).slice(1, -1), '[0,'];
    const found = this.#log.search(needles, after, upTo, SEARCH_LIMIT);
    return { epoch: this.#log.epoch, trimmed: this.#log.trimmed, ...found };
  }

  async locate(session: string): Promise<Liveness | undefined> {
    this.#assertOpen();
    const claim = this.#log.claims.get(session);
    return claim && claim.detach === undefined ? this.#liveness(claim.node) : undefined;
  }

  async inspect(node: string): Promise<{ liveness: Liveness; cursor: number | undefined }> {
    this.#assertOpen();
    return { liveness: this.#liveness(node), cursor: this.#log.nodes.get(node)?.cursor };
  }

  async putLarge(id: string, payload: string): Promise<void> {
    this.#assertOpen();
    this.#log.large.set(id, { payload, storedAt: performance.now() });
  }

  async getLarge(id: string): Promise<string | undefined> {
    this.#assertOpen();
    return this.#log.large.get(id)?.payload;
  }

  async maintain(request: MaintenanceRequest): Promise<MaintenanceAnswer> {
    this.#assertOpen();
    return this.#log.maintain(request);
  }

  async renewEpoch(epoch: string): Promise<void> {
    this.#assertOpen();
    if (this.#log.epoch === epoch) this.#log.renewEpoch();
  }

  async leave(node: string): Promise<void> {
    this.#log.leave(node);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#listeners.delete(this);
  }

  #liveness(node: string): Liveness {
    const row = this.#log.nodes.get(node);
    if (!row || performance.now() - row.beatAt > this.#sessionTimeoutMs) return 'dead';
    return 'attached';
  }

  #assertOpen(): void {
    if (this.#closed) throw new SessionError('closed', 'this session manager was closed');
  }
}
