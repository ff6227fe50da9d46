import type { InfoField, InfoRow } from '@tmcp/session-manager';

/**
 * What a Worker and a shard say to each other. Old and new Workers run side by side during a deploy: what an older
 * release sent must be understood by this one, so fields are added, never changed, and `PROTOCOL` is raised only when
 * that is impossible.
 */
export const PROTOCOL = 1;

/** Position in the log of the shard, and the SSE frame or notification that stands there. */
export type Entry = readonly [seq: number, data: string];

/** Settings of the managers that the shard acts on. They travel with calls, for an object has no options. */
export type ShardSettings = {
  readonly resumeWindowMs: number;
  readonly maxLogBytes: number;
  readonly sessionTimeoutMs: number;
};

/** One message of a batch. */
export type ShardMessage = {
  /** Session ids; none is every session, or with `topic` every listen stream of that topic. */
  readonly to?: readonly string[] | undefined;
  /** Set for a notification to listen streams. */
  readonly topic?: Topic | undefined;
  readonly data: string;
};

/** Which listen streams may want a notification; what exactly they filter for is decided in their Worker. */
export type Topic = 'tools' | 'prompts' | 'resources' | 'updated' | 'other';

export type ShardBatch = {
  /** The same for each try, so that a batch whose answer was lost is not stored again. */
  readonly id: string;
  readonly attempt: number;
  /** The epoch that this Worker last heard of. None in batches of older Workers, and before a first answer. */
  readonly epoch?: string | undefined;
  readonly messages: readonly ShardMessage[];
  readonly settings: ShardSettings;
};

/** What becomes of a batch. Older shards answer nothing, and store whatever they accept. */
export type Published = {
  readonly epoch: string;
  /**
   * False where the log was lost between two tries: whether the first one was stored, and sent to open streams, can no
   * longer be told. Storing it now might deliver it twice.
   */
  readonly stored: boolean;
};

/** Where a stream ended, told by the Worker that held it. */
export type Release = {
  readonly session: string;
  readonly claim: string;
  /** Everything up to here was handed over. `undefined`: the stream had not begun, as far as its client has read. */
  readonly detach: number | undefined;
};

/** How a new stream begins. */
export type Begin = {
  readonly epoch: string;
  /** Delivery starts behind this position. */
  readonly after: number;
  /** False where the client may have missed something that nobody can tell. */
  readonly resumed: boolean;
};

/** From the shard to the Worker. */
export type ToWorker =
  | ({ readonly type: 'begin' } & Begin)
  /** An answer to `pull`; with `live` the stream has reached the head, and gets what comes from now on. */
  | { readonly type: 'page'; readonly entries: readonly Entry[]; readonly live: boolean }
  | { readonly type: 'live'; readonly entries: readonly Entry[] }
  /** A newer stream of the session took over: nothing more comes. */
  | { readonly type: 'superseded' }
  /** The session was ended by DELETE: nothing more comes. */
  | { readonly type: 'ended' }
  /** What came after the cursor of a reconnecting Worker cannot be found any more. */
  | { readonly type: 'gap' }
  /** Does the client still read? To be answered by `alive`. */
  | { readonly type: 'probe'; readonly probe: string };

/** From the Worker to the shard. */
export type ToShard =
  | { readonly type: 'pull'; readonly after: number }
  /** Everything up to this position was handed to the client. */
  | { readonly type: 'ack'; readonly position: number }
  /** The stream waits for its predecessor, which does not answer. */
  | { readonly type: 'impatient' }
  | { readonly type: 'alive'; readonly probe: string };

/** Answered by the runtime itself, without waking the object. */
export const PING = 'ping';
export const PONG = 'pong';

export const CLOSE = { normal: 1000, released: 4000, superseded: 4001, ended: 4002, unsupported: 4003 } as const;

export const PATHS = { stream: '/stream', listen: '/listen' } as const;

/** The RPC methods of a shard, as a Worker sees them. */
export interface Shard {
  publish(batch: ShardBatch): Promise<Published | undefined>;
  has(session: string, settings: ShardSettings): Promise<boolean>;
  release(release: Release): Promise<void>;
  endSession(session: string, operation: string): Promise<void>;
  check(): Promise<{ sql: boolean }>;
}

/** One change of what is stored about a session. */
export type InfoWrite = {
  readonly session: string;
  /** How long before it was sent it was called. */
  readonly ageMs: number;
  /** When it was sent, on the clock of its Worker. None from older Workers. */
  readonly sentAt?: number | undefined;
  readonly ttlMs: number;
} & (
  | { readonly type: 'set'; readonly field: InfoField; readonly json: string }
  | { readonly type: 'subscribe' | 'unsubscribe'; readonly uri: string }
);

/** RPC methods of a shard for session info. */
export interface InfoShard {
  getInfo(session: string, ttlMs: number): Promise<InfoRow>;
  setInfo(write: InfoWrite): Promise<void>;
  deleteInfo(session: string, ageMs: number, ttlMs: number, sentAt?: number): Promise<void>;
  subscribers(uri: string): Promise<string[]>;
}
