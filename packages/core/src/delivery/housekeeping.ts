import { SessionError } from '../errors.ts';
import type { Backplane, SilentNode } from './backplane.ts';
import { elapsedMs, type Moment, now } from './clock.ts';
import type { DeliverySettings } from './delivery-options.ts';

/** Nothing is as old as this. */
const AGES_MS = 100 * 365 * 86_400_000;

/**
 * A released claim tells its session's next stream where to go on, or that it cannot: for at least this long, so that
 * a client that was away for too long hears that it may have missed something.
 */
const REMEMBER_MS = 3_600_000;

/**
 * Trimming and cleaning up after dead nodes, beside the heartbeats.
 *
 * Nobody cleans up after another node unless it has itself had an unbroken run of good beats for a whole resume
 * window and has seen that node silent all the while; nor does anybody before that drop by age what a client may
 * resume from. An outage of the backend breaks every run, so it costs nobody anything, however long it lasts.
 */
export class Housekeeping {
  readonly #backplane: Backplane;
  readonly #node: () => string;
  readonly #settings: DeliverySettings;
  readonly #report: (error: unknown) => void;
  readonly #silent = new Map<string, { beat: string; since: Moment }>();
  #lastBeat: Moment | undefined;
  /** Begin of the unbroken run of good beats. */
  #calmSince: Moment | undefined;
  #running = false;
  #stopped = false;

  constructor(backplane: Backplane, node: () => string, settings: DeliverySettings, report: (error: unknown) => void) {
    this.#backplane = backplane;
    this.#node = node;
    this.#settings = settings;
    this.#report = report;
  }

  /** A beat failed, or came too late: whoever seemed silent may just have been out of sight. */
  interrupted(): void {
    this.#silent.clear();
    this.#lastBeat = undefined;
    this.#calmSince = undefined;
  }

  /** Nothing begins any more. What is under way loses its connections, and that is no failure. */
  stop(): void {
    this.#stopped = true;
  }

  /**
   * A good beat. Never rejects, never throws.
   *
   * @param asOf the backend's clock at this beat
   */
  beaten(asOf: number): void {
    if (this.#lastBeat && elapsedMs(this.#lastBeat) > this.#settings.heartbeatMs * 3) this.interrupted();
    this.#lastBeat = now();
    this.#calmSince ??= this.#lastBeat;
    if (this.#running || this.#stopped) return;
    this.#running = true;
    void this.#maintain(asOf).finally(() => {
      this.#running = false;
    });
  }

  async #maintain(asOf: number): Promise<void> {
    const { sessionTimeoutMs, resumeWindowMs, maxLogBytes, sendTimeoutMs } = this.#settings;
    const remove = [...this.#silent]
      .filter(([, { since }]) => elapsedMs(since) >= resumeWindowMs)
      .map(([node, { beat }]): SilentNode => ({ node, beat }));
    // Whoever could not come back during an outage has a whole window after it.
    const isCalm = this.#calmSince !== undefined && elapsedMs(this.#calmSince) >= resumeWindowMs;
    const run = this.#lastBeat;
    try {
      const { silent, overtaken } = await this.#backplane.maintain({
        node: this.#node(),
        asOf,
        sessionTimeoutMs,
        forgetReleasedMs: isCalm ? Math.max(resumeWindowMs * 10, REMEMBER_MS) : AGES_MS,
        keepMs: isCalm ? resumeWindowMs * 2 : AGES_MS,
        maxLogBytes,
        producerIdleMs: sendTimeoutMs * 10,
        remove,
      });
      if (run !== undefined && this.#lastBeat !== undefined) this.#remember(silent);
      if (overtaken > 0) this.#report(overtakenError(overtaken, maxLogBytes));
    } catch (error) {
      if (!this.#stopped) this.#report(error);
    }
  }

  #remember(silent: readonly SilentNode[]): void {
    const still = new Set(silent.map(({ node }) => node));
    for (const node of this.#silent.keys()) if (!still.has(node)) this.#silent.delete(node);
    for (const { node, beat } of silent) {
      if (node !== this.#node() && this.#silent.get(node)?.beat !== beat)
        this.#silent.set(node, { beat, since: now() });
    }
  }
}

function overtakenError(nodes: number, maxLogBytes: number): SessionError {
  return new SessionError(
    'configuration',
    `the log exceeded "maxLogBytes" (${maxLogBytes}) and was trimmed beyond what ${nodes} process(es) had last written ` +
      'to have read; what they then miss is reported there; raise it if they were not just dead or frozen',
  );
}
