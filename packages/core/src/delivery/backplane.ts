import type { SessionError } from '../errors.ts';

/**
 * What a backend provides to the delivery engine: one ordered log of operations per namespace, the claims that say
 * which node holds a session's stream, and the beats of the nodes.
 *
 * An instance belongs to one node in one namespace. Rules that hold for every method:
 *
 * - It settles within the call deadline the backplane was made with, and rejects with a `SessionError`.
 * - Session ids, claim ids and payloads are data: no name, key pattern or statement is built from them unescaped.
 * - Ages and expiry are judged by the clock of the backend alone; clocks of processes differ.
 * - An epoch is random text of 1 to 32 lower-case letters and digits: it is part of every event id.
 */
export interface Backplane {
  readonly limits: BackplaneLimits;

  /** How the backend is set up to weaken a promise. Each was reported when it was found; probes show them as long. */
  readonly warnings?: readonly SessionError[];

  /**
   * Prepares the backend (schema, first epoch) and opens the connection that hears of new parts. Resolves when it
   * listens for the first time; afterwards it reconnects by itself, for ever, until `close()`. A rejected `open` may
   * be called again.
   */
  open(node: string, listener: BackplaneListener): Promise<void>;

  /**
   * Writes the node's beat and cursor, and reads where the log stands. One round trip, whatever the number of
   * sessions. Must not wait for appends of others.
   *
   * Only a beat without a cursor makes a node known. One with a cursor that finds it unknown writes nothing, so that
   * the next one finds the same: an answer that was lost on its way hides from nobody that it was cleaned up.
   */
  beat(beat: Beat): Promise<BeatAnswer>;

  /**
   * Appends a batch: positions, claims, storage and wake-up of every node in one transaction or script. A batch
   * whose number this producer has used before is not stored again: its first answer is given again.
   *
   * A rejection with code `invalid-message` means that the backend refused this content for good and stored nothing.
   * After any other rejection the outcome is unclear, and the caller tries the same batch again.
   */
  append(batch: Batch): Promise<AppendAnswer>;

  /** The parts after a position, in order, about 1 MiB and at least one part a page. Empty: nothing is stored there. */
  read(after: number): Promise<LogPage>;

  /**
   * Parts in (`after`, `upTo`] that may concern a session: those whose `head` names it or is addressed to everyone.
   * May return more than that, never less. `complete` says that nothing is left in the range.
   */
  search(session: string, after: number, upTo: number): Promise<SearchPage>;

  /**
   * The state of the node that holds a session's stream; `undefined` when no claim is held.
   *
   * @param heardWithinMs a node that has beaten within this time is `attached`, even if its connection is gone again
   */
  locate(session: string, heardWithinMs?: number): Promise<Liveness | undefined>;

  /**
   * The state of a node, and the cursor it wrote last; `dead` without a cursor when it is not known.
   *
   * @param heardWithinMs as for `locate`
   */
  inspect(node: string, heardWithinMs?: number): Promise<{ liveness: Liveness; cursor: number | undefined }>;

  /** Stores a payload that is too large for a part. It is kept as long as the log. Repeatable with the same id. */
  putLarge(id: string, payload: string): Promise<void>;

  /** `undefined` when it is not, or no longer, stored. */
  getLarge(id: string): Promise<string | undefined>;

  /**
   * Trims the log and removes what expired, by one node at a time and in bounded steps.
   * Nodes named in `remove` go with their producers, and their claims are released as `LOST`, unless they have beaten
   * since they were reported.
   */
  maintain(request: MaintenanceRequest): Promise<MaintenanceAnswer>;

  /** Starts a new epoch and releases all claims as `LOST`, if `epoch` is still the current one. */
  renewEpoch(epoch: string): Promise<void>;

  /**
   * Forgets the node. Called once, after everything it held was released; a claim that it still holds (its `create` was
   * never answered) is released at its `from`.
   */
  leave(node: string): Promise<void>;

  /** Closes what this backplane opened, nothing that was handed in. Idempotent, never rejects. */
  close(): Promise<void>;
}

export type BackplaneLimits = {
  /** Most UTF-8 bytes of `head` and `data` of one part that travels inline; a single larger operation is its own part. */
  readonly partBytes: number;
  /** Most UTF-8 bytes of one batch. */
  readonly batchBytes: number;
  /** False when nothing is stored (`durability: 'none'`): holes are skipped and streams never replay. */
  readonly keepsLog: boolean;
};

/** How a backplane tells its node what happened. No method throws. */
export type BackplaneListener = {
  /** Parts as they arrive, in order; may repeat, and may have holes. */
  parts(parts: readonly Part[]): void;
  /** Something was appended that does not come along, up to `head` where that is known: read the log. */
  wake(head?: number): void;
  /** It listens, for the first time or again: what was appended meanwhile has to be read. */
  connected(): void;
  /** It no longer listens, and reconnects. */
  disconnected(cause: unknown): void;
  /** Something that no caller can see. */
  report(error: unknown): void;
};

/** One stored piece of a batch: `count` operations, the last of them at position `last`. */
export type Part = {
  readonly epoch: string;
  readonly last: number;
  readonly count: number;
  /** Identity of this part: `producer:batch:index`. Tells whether the log was rolled back and has grown again. */
  readonly token: string;
  /** JSON text: an array with one item per operation. */
  readonly head: string;
  /** The payloads of the operations, one after the other. */
  readonly data: string;
};

export type PartDraft = {
  readonly count: number;
  readonly head: string;
  readonly data: string;
  /** UTF-8 bytes of head and data. */
  readonly bytes: number;
};

/** Operations that change claims. `offset` counts from 1: the operation's position is that of the batch plus it. */
export type ControlOperation =
  | { readonly kind: 'claim'; readonly offset: number; readonly session: string; readonly claim: string }
  | {
      readonly kind: 'release';
      readonly offset: number;
      readonly session: string;
      readonly claim: string;
      /**
       * Where the next stream of the session starts when its client names no event. `LOST` is stored even if no claim
       * of the session is: whoever claims next has to say that something may be missing. A claim that is released as
       * `LOST`, by this or by a new epoch, stays so.
       */
      readonly detach: number;
      /**
       * Position of the last frame that left the stream's queue: an event id not below it misses nothing before `detach`.
       * `LOST` beside a position in `detach`: the next stream starts there, and has to say that something may be missing.
       */
      readonly sent: number;
    }
  | { readonly kind: 'end'; readonly offset: number; readonly session: string };

/** In place of a position: the session's continuity is lost. Its floor is void as well; the next claim sets a new one. */
export const LOST = -1;

export type Batch = {
  readonly epoch: string;
  readonly node: string;
  readonly producer: string;
  /** Rises by one with every batch of the producer, from 1. */
  readonly number: number;
  /** Highest number that was acknowledged to this producer. */
  readonly acknowledged: number;
  readonly parts: readonly PartDraft[];
  /** At most one per session. */
  readonly controls: readonly ControlOperation[];
};

export type AppendAnswer =
  | {
      readonly state: 'stored';
      /** Position of the last operation of the batch. */
      readonly last: number;
      /** One for each claim of the batch, in its order. */
      readonly claims: readonly ClaimAnswer[];
      /** The backend has forgotten a batch that it had acknowledged: its log lost its tail, or others cleaned up after the node. */
      readonly gap: boolean;
    }
  /** Nothing was stored: the log lives in another epoch now. */
  | { readonly state: 'epoch' };

/** What a claim found when it was applied. */
export type ClaimAnswer = {
  readonly session: string;
  readonly claim: string;
  /** Position of this claim. */
  readonly at: number;
  /** Position of the session's first claim: nothing older is replayed. */
  readonly floor: number;
  readonly previous: PreviousClaim | undefined;
};

export type PreviousClaim = {
  readonly claim: string;
  readonly node: string;
  readonly at: number;
  /**
   * Where the previous stream had to start at the earliest, kept for the case that its node died before it could
   * say so: the `detach` of its own predecessor (also one that was released after it was taken over from), or the
   * cursor of its predecessor's node, or its own position. `undefined` when that was unknown.
   */
  readonly from: number | undefined;
  /** Set when the claim was released; `LOST` when nobody knows where its stream would have gone on. */
  readonly detach: number | undefined;
  readonly sent: number | undefined;
  /** The cursor its node wrote last; `undefined` when that node is unknown. */
  readonly cursor: number | undefined;
};

export type Beat = {
  readonly node: string;
  /** What is written; `undefined` registers the node at the head, one that is known where it is, if that is lower. */
  readonly cursor: number | undefined;
  /** The position whose token is asked for; `undefined` asks for that of the head. */
  readonly check: number | undefined;
};

export type BeatAnswer = {
  readonly epoch: string;
  /** Position of the last operation in the log. */
  readonly head: number;
  /** Everything up to this position may have been trimmed. */
  readonly trimmed: number;
  /** Token of the part that ends at the checked position; `undefined` when no such part is stored. */
  readonly token: string | undefined;
  /** The node was not known when this beat came: it had not registered, or it was cleaned up since. */
  readonly unknown: boolean;
  /** The backend's clock when it took the beat, in milliseconds from any origin. */
  readonly time: number;
};

export type LogPage = {
  readonly epoch: string;
  readonly parts: readonly Part[];
  readonly trimmed: number;
};

export type SearchPage = LogPage & { readonly complete: boolean };

/**
 * - `attached`: it beats, and its listening connection is up (or that cannot be seen here)
 * - `suspect`: it beats, but its listening connection is gone; look again before you judge
 * - `dead`: its last beat is older than `sessionTimeoutMs`, or it is not known
 */
export type Liveness = 'attached' | 'suspect' | 'dead';

/** A node without a fresh beat. `beat` is opaque: it changes with every beat. */
export type SilentNode = { readonly node: string; readonly beat: string };

export type MaintenanceRequest = {
  readonly node: string;
  /**
   * The backend's clock at the beat that this request follows. Every age is counted up to here: a backend that froze
   * runs what it was sent before only when it wakes up, and must not find old what nobody could fetch meanwhile.
   */
  readonly asOf: number;
  /** A beat older than this is reported as silent. */
  readonly sessionTimeoutMs: number;
  /** Claims that were released longer ago than this are forgotten. */
  readonly forgetReleasedMs: number;
  /**
   * Entries and large payloads older than this go, but no entry at or above the lowest cursor of the nodes that are
   * left: the part that ends at a cursor stays.
   */
  readonly keepMs: number;
  /** The log is trimmed to this size whatever the cursors are. */
  readonly maxLogBytes: number;
  /** Producers that were not used for this long go, if their node is not known. */
  readonly producerIdleMs: number;
  readonly remove: readonly SilentNode[];
};

export type MaintenanceAnswer = {
  readonly silent: readonly SilentNode[];
  /** Nodes whose cursor was passed because the log exceeded `maxLogBytes`. */
  readonly overtaken: number;
};
