import { SessionError, type SessionErrorCode } from '../errors.ts';
import type { Backplane, BeatAnswer } from './backplane.ts';
import { backOffMs, elapsedMs, every, type Moment, NEVER, now, sleep, type Timer } from './clock.ts';
import type { DeliverySettings } from './delivery-options.ts';
import { Housekeeping } from './housekeeping.ts';
import type { LogReader, NotificationConsumer, StreamConsumer } from './log-reader.ts';

export type HeartbeatHost = {
  node(): string;
  isBeating(): boolean;
  streams(): StreamConsumer | undefined;
  notifications(): NotificationConsumer | undefined;
  /** The position that a claim in flight may depend on. */
  claimHold(): number | undefined;
  /** What this node has in flight must not be mistaken for what it stored before. */
  renewProducer(): void;
  report(error: unknown): void;
};

/**
 * Keeps the node's place: beats, proves at every beat that its log is the one it knows and that nothing is missing,
 * and says whether it may deliver.
 *
 * What cannot be proven is a discontinuity: all streams end, and the log is adopted as it is. A node whose last good
 * beat is too old is fenced: others may have taken its sessions, so it looks who has moved before it reads on.
 */
export class Heartbeat {
  readonly #backplane: Backplane;
  readonly #reader: LogReader;
  readonly #settings: DeliverySettings;
  readonly #host: HeartbeatHost;
  readonly #housekeeping: Housekeeping;
  readonly #fenceAfterMs: number;

  /** Rises with every adoption: an answer to a question of before counts no more. */
  #generation = 0;
  /** When the last beat that was answered was sent. */
  #lastBeat: Moment = NEVER;
  #beating: Promise<boolean> | undefined;
  #timer: Timer | undefined;
  #fenced = false;
  #adoption: Promise<void> | undefined;
  /** Epochs that this node has left. One that comes back is an older copy of the log: its ids and claims are void. */
  readonly #left = new Set<string>();
  /** Why the log needs a new epoch, until it has one. */
  #unproven: string | undefined;
  #discontinuities = 0;
  #failedBeats = 0;

  constructor(backplane: Backplane, reader: LogReader, settings: DeliverySettings, host: HeartbeatHost) {
    this.#backplane = backplane;
    this.#reader = reader;
    this.#settings = settings;
    this.#host = host;
    this.#housekeeping = new Housekeeping(backplane, () => host.node(), settings, host.report);
    // A tenth, and never more than a second, for what lies between the check and the last enqueue.
    this.#fenceAfterMs = settings.sessionTimeoutMs - Math.min(1_000, settings.sessionTimeoutMs / 10);
  }

  get discontinuities(): number {
    return this.#discontinuities;
  }

  get failedBeats(): number {
    return this.#failedBeats;
  }

  get generation(): number {
    return this.#generation;
  }

  /** Whether this node is about to take the log as it is, wherever it has got to. */
  get isAdopting(): boolean {
    return this.#adoption !== undefined;
  }

  /** Whether the backend has answered lately. */
  get isFresh(): boolean {
    return elapsedMs(this.#lastBeat) <= this.#fenceAfterMs;
  }

  /** Takes this node's place at the head of the log. */
  async register(): Promise<void> {
    const started = now();
    const answer = await this.#backplane.beat({ node: this.#host.node(), cursor: undefined, check: undefined });
    if (this.#left.has(answer.epoch)) {
      await this.#backplane.renewEpoch(answer.epoch);
      await this.register();
    } else {
      this.#adopt(answer, started);
    }
  }

  start(): void {
    this.#timer = every(this.#settings.heartbeatMs, () => void this.beat());
  }

  /** Resolves when no beat is under way. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#housekeeping.stop();
    await this.#beating;
  }

  /** Whether frames may be handed out now. Asked before each part: after a freeze, data can run before timers. */
  mayDeliver(): boolean {
    if (this.#adoption) return false;
    if (!this.#fenced && !this.isFresh) this.#fence();
    return !this.#fenced;
  }

  /** One heartbeat; calls while one runs share it. Resolves with whether the backend answered. */
  beat(): Promise<boolean> {
    this.#beating ??= this.#beatOnce().finally(() => {
      this.#beating = undefined;
    });
    return this.#beating;
  }

  /** A heartbeat that is sent after this call: one that is under way may have been answered before. */
  async beatAnew(): Promise<boolean> {
    await this.#beating;
    return this.beat();
  }

  /**
   * Resolves when this node may write: not while it is about to take the log as it is, for it would never read what
   * it wrote; and not after a silence in which others may have cleaned up after it, for then the backend no longer
   * knows which batches it has stored.
   */
  async inPlace(): Promise<void> {
    for (let attempt = 0; this.#adoption || this.#mayBeForgotten(); attempt += 1) {
      await this.#adoption;
      if (this.#mayBeForgotten() && !(await this.beatAnew())) await sleep(backOffMs(attempt, 50, 1_000));
    }
  }

  #mayBeForgotten(): boolean {
    return this.#host.isBeating() && elapsedMs(this.#lastBeat) > this.#settings.resumeWindowMs;
  }

  /** Looks at the log now, and waits until its current epoch is adopted. */
  async adoptEpoch(): Promise<void> {
    await this.#adoption;
    await this.beatAnew();
    await this.#adoption;
  }

  /** The log lost something: everybody has to learn it, so it gets a new epoch. */
  async renewEpoch(reason: string): Promise<void> {
    this.#unproven = reason;
    const generation = this.#generation;
    try {
      await this.#backplane.renewEpoch(this.#reader.epoch);
    } catch (error) {
      this.#host.report(error);
      return; // the next beat tries again
    }
    // A beat may have seen the new epoch before this answer came: then it is adopted already.
    await this.#adoption;
    if (generation === this.#generation) await this.discontinue('discontinuity', reason);
  }

  /**
   * The backend has forgotten what it had acknowledged to this node. Either it cleaned up after this node, which
   * concerns nobody else, or its log has lost something: what it says next tells which. Never rejects.
   */
  async forgotten(): Promise<void> {
    const generation = this.#generation;
    for (let attempt = 0; this.#host.isBeating() && !(await this.beatAnew()); attempt += 1) {
      await sleep(backOffMs(attempt, 50, 1_000));
    }
    await this.#adoption;
    if (generation === this.#generation) await this.renewEpoch('the backend forgot what it had acknowledged');
  }

  /** Ends the streams, says so, and takes the log as it is now. Never rejects. */
  discontinue(code: SessionErrorCode, reason: string): Promise<void> {
    this.#adoption ??= this.#adoptAnew(code, reason).finally(() => {
      this.#adoption = undefined;
      this.#reader.readOn();
    });
    return this.#adoption;
  }

  async #beatOnce(): Promise<boolean> {
    if (!this.#host.isBeating() || this.#adoption) return false;
    // After a freeze a timer may run before any data: a fresh beat must not hide that the old one was too old.
    if (!this.#fenced && !this.isFresh) this.#fence();
    const started = now();
    const { cursor, token } = this.#reader;
    const generation = this.#generation;
    let answer: BeatAnswer;
    try {
      answer = await this.#backplane.beat({ node: this.#host.node(), cursor: this.#writtenCursor(), check: cursor });
    } catch (error) {
      this.#failedBeats += 1;
      this.#housekeeping.interrupted();
      this.#host.report(error);
      return false;
    }
    if (generation !== this.#generation || this.#adoption) return true;
    this.#lastBeat = started;
    this.#reader.trimmedTo(answer.trimmed);
    await this.#prove(answer, cursor, token);
    if (!this.#fenced && !this.#adoption) this.#housekeeping.beaten(answer.time);
    return true;
  }

  /** Compares what the backend says with what this node knows. */
  async #prove(answer: BeatAnswer, check: number, token: string | undefined): Promise<void> {
    if (answer.epoch !== this.#reader.epoch) {
      await this.discontinue('discontinuity', 'the log was started anew');
    } else if (answer.head < check) {
      await this.renewEpoch('the log ends before what this process has read');
    } else if (this.#isRolledBack(answer, check, token)) {
      await this.renewEpoch('the log was rolled back and has grown again');
    } else if (answer.unknown) {
      // Only now: a store that was set back to before this process began does not know it either.
      const reason = 'this process was silent for longer than "resumeWindowMs" and its sessions were given away';
      await this.discontinue('evicted', reason);
    } else if (this.#unproven !== undefined) {
      await this.renewEpoch(this.#unproven);
    } else {
      this.#reader.heard(answer.head);
    }
  }

  #isRolledBack(answer: BeatAnswer, check: number, token: string | undefined): boolean {
    if (!this.#backplane.limits.keepsLog || token === undefined) return false;
    return answer.token !== token && answer.trimmed < check;
  }

  /** The lowest of what this node has read, what its streams still replay, and what a claim in flight may need. */
  #writtenCursor(): number {
    return Math.min(
      this.#reader.cursor,
      this.#host.streams()?.lowestPosition() ?? Number.POSITIVE_INFINITY,
      this.#host.claimHold() ?? Number.POSITIVE_INFINITY,
    );
  }

  async #adoptAnew(code: SessionErrorCode, reason: string): Promise<void> {
    this.#discontinuities += 1;
    this.#host.report(
      new SessionError(code, `${reason}; the streams of this process were ended, their clients reconnect`),
    );
    this.#host.streams()?.discontinued();
    for (let attempt = 0; this.#host.isBeating(); attempt += 1) {
      try {
        await this.register();
        break;
      } catch (error) {
        this.#host.report(error);
        await sleep(backOffMs(attempt, 50, 5_000));
      }
    }
    this.#host.notifications()?.discontinued();
  }

  #adopt(answer: BeatAnswer, started: Moment): void {
    this.#generation += 1;
    if (answer.epoch !== this.#reader.epoch) {
      this.#left.add(this.#reader.epoch);
      this.#unproven = undefined;
    }
    // In the same tick: what is on its way into the log takes its epoch and its name at one moment.
    this.#reader.adopt(answer);
    this.#host.renewProducer();
    this.#lastBeat = started;
    this.#fenced = false;
  }

  #fence(): void {
    this.#fenced = true;
    this.#housekeeping.interrupted();
    void this.#recover();
  }

  /** After a good beat, looks which sessions were claimed elsewhere, ends their streams, and only then reads on. */
  async #recover(): Promise<void> {
    for (let attempt = 0; this.#fenced && this.#host.isBeating(); attempt += 1) {
      try {
        // A beat that was sent before the freeze ended proves nothing: wait it out.
        if (await this.beatAnew()) {
          await this.#adoption;
          if (!this.#fenced) return;
          const moved = await this.#reader.claimedUpTo(this.#reader.heardOf);
          if (this.isFresh && !this.#adoption) {
            this.#host.streams()?.moved(moved);
            this.#fenced = false;
            break;
          }
        }
      } catch (error) {
        this.#host.report(error);
      }
      await sleep(backOffMs(attempt, 50, 1_000));
    }
    this.#reader.readOn();
  }
}
