import type { Begin, Entry, Release, ShardBatch, ShardMessage, ShardSettings, Topic } from '../protocol.ts';

/** A message that has got its place in the log. */
export type Appended = ShardMessage & { readonly seq: number };

/** What follows from a new claim on a session. */
export type ClaimOutcome =
  | { readonly begin: Begin }
  /** The previous stream has begun and has not said where it ended: the new one starts there, not before. */
  | 'wait';

export type ResumeOutcome =
  | 'continue'
  | 'superseded'
  | 'gap'
  /**
   * The session was ended meanwhile. What lies up to this position was accepted before, and is the stream's. It begins
   * where `begin` says, if it was not told before.
   */
  | { readonly endedAt: number; readonly begin?: Begin | undefined };

/** The claim of a session whose stream may begin now. */
export type Ready = { readonly claim: string; readonly begin: Begin };

/** Whose entries a reader gets: those of a session, or notifications to listen streams of some topics. */
export type Reader = { readonly session: string } | { readonly session?: undefined; readonly topics: readonly Topic[] };

export type Expired = {
  /** More will have to be forgotten later. */
  readonly isLeft: boolean;
  /** Some of it is old enough, and waits for its Worker. */
  readonly isAwaited: boolean;
};

/**
 * What a shard keeps beside its sockets. Every method is one synchronous step: nothing can come between what it reads
 * and what it writes, nor between its answer and the frames that are sent because of it.
 */
export interface ShardStore {
  readonly kept: boolean;
  readonly epoch: string;
  readonly head: number;
  configure(settings: ShardSettings): void;
  /** Stores a batch. `undefined`: it is stored already, and was sent then. */
  append(batch: ShardBatch): readonly Appended[] | undefined;
  /** Entries behind a position, at most a page of them; `undefined` where some of them are trimmed. */
  page(reader: Reader, after: number): { readonly entries: readonly Entry[]; readonly last: boolean } | undefined;
  /** Nothing that a reader was meant to get is missing behind this position. */
  trimmedFor(reader: Reader): number;
  claim(session: string, claim: string, lastEventId: string | undefined): ClaimOutcome;
  /** A Worker whose socket broke comes back for the same stream. */
  resume(session: string, claim: string, epoch: string, after: number | undefined): ResumeOutcome;
  /** What a stream missed cannot be found: the session's next one is told so. */
  loseTrack(session: string): void;
  /** The same as `resume` for a listen stream. */
  canFollow(epoch: string, after: number): boolean;
  /** A stream said where it ended. */
  release(release: Release): Ready | undefined;
  /** A socket broke; until its Worker says more, this is how far its stream got. */
  lost(session: string, claim: string, acked: number | undefined): void;
  /** The predecessor of a waiting stream does not answer: it begins at what is known. */
  giveUp(session: string, claim: string, acked: number | undefined): Ready | undefined;
  /** What the session's waiting stream waits for. */
  predecessor(session: string): string | undefined;
  /** The claim that holds the session. */
  holder(session: string): string | undefined;
  /** Ends a session. False when this operation was carried out before. */
  end(session: string, operation: string): boolean;
  /** Forgets what is old. @param mayReturn the Worker of a session that is held may be about to come back */
  expire(now: number, isOpen: (session: string) => boolean, mayReturn: boolean): Expired;
  /** How long from now that should be looked at. */
  readonly expiryMs: number;
}
