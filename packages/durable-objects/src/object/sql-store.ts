import { parseEventId, randomId } from '@tmcp/session-manager';
import type { Begin, Entry, Release, ShardBatch, ShardSettings } from '../protocol.ts';
import { Meta } from './meta.ts';
import { createTables, SCHEMA_VERSION } from './schema.ts';
import { type SessionRow, SessionTable } from './session-table.ts';
import { ShardLog } from './shard-log.ts';
import type { Appended, ClaimOutcome, Expired, Reader, Ready, ResumeOutcome, ShardStore } from './shard-store.ts';

/** How many batches whose later try came first are remembered. */
const OVERTAKEN = 1_000;

const DEFAULTS: ShardSettings = { resumeWindowMs: 60_000, maxLogBytes: 32 * 1024 * 1024, sessionTimeoutMs: 10_000 };

/**
 * Log and claims of a shard in SQLite.
 *
 * A message is 1 row, and 1 for each session that is named by it and known here; a message for sessions that nobody
 * knows is not stored. A claim is 1 row, and so is a release. What is left of detached and ended sessions lives for twice
 * the resume window, like the log.
 */
export class SqlStore implements ShardStore {
  readonly kept = true;
  readonly epoch: string;
  readonly #storage: DurableObjectStorage;
  readonly #sessions: SessionTable;
  readonly #meta: Meta;
  readonly #log: ShardLog;
  #settings: ShardSettings;
  /** Batches that were stored by a later try: the first one may be on its way, and is not looked for in the log. */
  readonly #overtaken = new Set<string>();

  /** @throws where the class was deployed without SQL */
  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
    createTables(storage.sql);
    this.#sessions = new SessionTable(storage.sql);
    this.#meta = new Meta(storage.sql);
    let epoch = this.#meta.text('epoch');
    if (epoch === undefined) {
      epoch = randomId(8);
      this.#meta.set('epoch', epoch);
      this.#meta.set('schema', SCHEMA_VERSION);
    }
    this.epoch = epoch;
    this.#log = new ShardLog(storage.sql, this.#meta);
    this.#settings = { ...DEFAULTS, ...(JSON.parse(this.#meta.text('settings') ?? '{}') as Partial<ShardSettings>) };
  }

  get head(): number {
    return this.#log.head;
  }

  get expiryMs(): number {
    return Math.max(100, this.#settings.resumeWindowMs);
  }

  configure(settings: ShardSettings): void {
    const { resumeWindowMs, maxLogBytes, sessionTimeoutMs } = this.#settings;
    if (
      resumeWindowMs === settings.resumeWindowMs &&
      maxLogBytes === settings.maxLogBytes &&
      sessionTimeoutMs === settings.sessionTimeoutMs
    ) {
      return;
    }
    this.#settings = settings;
    this.#meta.set('settings', JSON.stringify(settings));
  }

  append(batch: ShardBatch): readonly Appended[] | undefined {
    if (batch.attempt > 1 ? this.#log.isStored(batch.id) : this.#overtaken.has(batch.id)) return undefined;
    this.configure(batch.settings);
    const appended: Appended[] = [];
    this.#change(() => {
      for (const message of batch.messages) {
        const targets = message.to && this.#sessions.known(message.to);
        if (targets?.length === 0) continue;
        appended.push(this.#log.append(batch.id, message, targets));
      }
      this.#log.trimToSize(this.#settings.maxLogBytes);
    });
    if (batch.attempt > 1) this.#remember(batch.id);
    return appended;
  }

  page(reader: Reader, after: number): { readonly entries: readonly Entry[]; readonly last: boolean } | undefined {
    return after < this.trimmedFor(reader) ? undefined : this.#log.page(reader, after);
  }

  trimmedFor(reader: Reader): number {
    return this.#log.trimmedFor(reader);
  }

  claim(session: string, claim: string, lastEventId: string | undefined): ClaimOutcome {
    const row = this.#sessions.get(session);
    if (row?.claim === claim && row.ended === null && row.epoch === this.epoch) {
      return row.prev === null ? { begin: this.#begin(row.detach, row.resumed === 1) } : 'wait';
    }
    if (!row || row.ended !== null) {
      // A new session: nothing from before is ever its business. A client that names an event is told so.
      const begin = this.#begin(this.head, lastEventId === undefined);
      this.#sessions.save({ ...this.#fresh(session), claim, resumed: Number(begin.resumed) });
      return { begin };
    }
    const prev = row.prev ?? row.claim;
    if (lastEventId === undefined && prev !== null && row.epoch === this.epoch) {
      this.#sessions.save({ ...row, claim, prev });
      return 'wait';
    }
    const begin = lastEventId === undefined ? this.#continue(row) : this.#follow(row, lastEventId);
    this.#saveBegun({ ...row, claim }, begin);
    return { begin };
  }

  resume(session: string, claim: string, epoch: string, after: number | undefined): ResumeOutcome {
    const row = this.#sessions.get(session);
    const follows = after !== undefined && this.canFollow(epoch, after) && after >= this.#log.trimmedFor({ session });
    if (row?.ended != null) {
      if (row.claim !== claim) return { endedAt: 0 };
      if (after === undefined) return { endedAt: row.floor, begin: this.#continue(row) };
      return { endedAt: follows ? row.floor : 0 };
    }
    // Its Worker then says where it stopped.
    if (row && row.claim !== claim) return 'superseded';
    if (row && after === undefined) return 'continue';
    // While a session is unknown, nothing is stored for it.
    if (row && follows) return 'continue';
    this.loseTrack(session);
    return 'gap';
  }

  loseTrack(session: string): void {
    this.#sessions.save({
      ...(this.#sessions.get(session) ?? this.#fresh(session)),
      claim: null,
      prev: null,
      epoch: '',
    });
  }

  canFollow(epoch: string, after: number): boolean {
    return epoch === this.epoch && after <= this.head;
  }

  release({ session, claim, detach }: Release): Ready | undefined {
    const row = this.#sessions.get(session);
    if (!row || row.ended !== null) return undefined;
    // Of one that had not begun, the next one is told what it was not told.
    const left = detach === undefined ? row : { ...row, detach: this.#reached(session, detach), resumed: 1 };
    if (row.claim === claim) {
      // A stream that was still waiting leaves its predecessor to the next one.
      this.#sessions.save({ ...(row.prev === null ? left : row), claim: null });
      return undefined;
    }
    return row.prev === claim ? this.#resolve(left) : undefined;
  }

  lost(session: string, claim: string, acked: number | undefined): void {
    const row = acked === undefined ? undefined : this.#sessions.get(session);
    if (!row || row.ended !== null || acked === undefined) return;
    const begun = row.prev === null ? row.claim : row.prev;
    if (begun === claim) this.#sessions.save(this.#acknowledged(row, acked));
  }

  giveUp(session: string, claim: string, acked: number | undefined): Ready | undefined {
    const row = this.#sessions.get(session);
    if (row?.claim !== claim || row.prev === null || row.ended !== null) return undefined;
    return this.#resolve(this.#acknowledged(row, acked ?? 0));
  }

  predecessor(session: string): string | undefined {
    return this.#sessions.get(session)?.prev ?? undefined;
  }

  holder(session: string): string | undefined {
    const row = this.#sessions.get(session);
    return row?.ended === null ? (row.claim ?? undefined) : undefined;
  }

  end(session: string, operation: string): boolean {
    const row = this.#sessions.get(session);
    if (row?.ended === operation) return false;
    // A stream whose socket is away comes back for what was accepted up to here: see `resume`.
    const { epoch, claim, detach, floor } = row ?? this.#fresh(session);
    const endedAt = row && row.ended !== null ? floor : this.head;
    this.#sessions.save({ ...this.#fresh(session), epoch, claim, detach, floor: endedAt, ended: operation });
    return true;
  }

  expire(now: number, isOpen: (session: string) => boolean, mayReturn: boolean): Expired {
    const oldest = now - 2 * this.#settings.resumeWindowMs;
    return this.#change(() => {
      this.#log.trimOlderThan(oldest);
      const { isLeft, isAwaited } = this.#sessions.forgetDetached(oldest, isOpen, mayReturn);
      return { isLeft: this.#log.rows > 1 || isLeft, isAwaited };
    });
  }

  #remember(batch: string): void {
    this.#overtaken.add(batch);
    const [oldest] = this.#overtaken;
    if (this.#overtaken.size > OVERTAKEN && oldest !== undefined) this.#overtaken.delete(oldest);
  }

  /** All of it or nothing, in memory as well: a position that was rolled back must not be handed out as the head. */
  #change<T>(change: () => T): T {
    try {
      return this.#storage.transactionSync(change);
    } catch (error) {
      this.#log.reread();
      throw error;
    }
  }

  /** The last that is known of a stream that does not say where it ended. */
  #acknowledged(row: SessionRow, acked: number): SessionRow {
    return acked > row.detach ? { ...row, detach: acked, resumed: 1 } : row;
  }

  /** The predecessor's end is known: the waiting stream begins, if there still is one. */
  #resolve(row: SessionRow): Ready | undefined {
    const resolved = { ...row, prev: null };
    const trimmed = this.trimmedFor({ session: row.sid });
    // Its stream is open: what was accepted since then, and is still there, is not skipped with what was trimmed.
    const begin =
      row.detach < trimmed && row.epoch === this.epoch ? this.#begin(trimmed, false) : this.#continue(resolved);
    this.#saveBegun(resolved, begin);
    return row.claim === null ? undefined : { claim: row.claim, begin };
  }

  /** A client that names no event continues where the session was detached. */
  #continue(row: SessionRow): Begin {
    const lost = row.epoch !== this.epoch || row.detach < this.#log.trimmedFor({ session: row.sid });
    return lost ? this.#begin(this.head, false) : this.#begin(row.detach, row.resumed === 1);
  }

  #follow(row: SessionRow, lastEventId: string): Begin {
    const position = parseEventId(lastEventId, this.epoch);
    if (position === undefined || position > this.head || row.epoch !== this.epoch)
      return this.#begin(this.head, false);
    const after = Math.max(position, row.floor);
    return after < this.#log.trimmedFor({ session: row.sid })
      ? this.#begin(this.head, false)
      : this.#begin(after, true);
  }

  #begin(after: number, resumed: boolean): Begin {
    return { epoch: this.epoch, after, resumed };
  }

  /** Where nothing lies between what a stream got and the head, it got everything: trimming does not concern it. */
  #reached(session: string, detach: number): number {
    return this.#log.hasAfter({ session }, detach) ? detach : Math.max(detach, this.head);
  }

  #fresh(session: string): SessionRow {
    return {
      sid: session,
      epoch: this.epoch,
      claim: null,
      prev: null,
      floor: this.head,
      detach: this.head,
      resumed: 1,
      ended: null,
      touched: 0,
    };
  }

  #saveBegun(row: SessionRow, begin: Begin): void {
    const floor = row.epoch === this.epoch ? row.floor : this.head;
    this.#sessions.save({
      ...row,
      epoch: this.epoch,
      prev: null,
      floor,
      detach: begin.after,
      resumed: Number(begin.resumed),
    });
  }
}
