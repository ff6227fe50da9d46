import { LOST } from './backplane.ts';
import type { LocalStream, StreamEnd } from './local-stream.ts';
import type { DeliveryNode } from './node.ts';
import type { Appended } from './outbox.ts';
import { Predecessors } from './predecessors.ts';
import { decideStart, earliestStart, startAfterDeath } from './start.ts';

export type StreamStartsHost = {
  /** Everything after this position is the stream's; an event id not below `sent` misses nothing up to there. */
  beginAfter(stream: LocalStream, position: number, sent: number | undefined): void;
  /** Where it left off is not known any more. */
  beginLost(stream: LocalStream): void;
  /** The log that it was claimed in has ended. */
  claimLost(stream: LocalStream): void;
  /** It was given up while its claim was on its way. */
  claimedTooLate(stream: LocalStream): void;
  /** This node will not read its claim, nor what concerned the session right after it. */
  claimSkipped(stream: LocalStream): void;
};

/**
 * Finds out where new streams start. A stream begins in three steps, in any order: its claim was answered (what did
 * it find?), its claim was read (older entries belong to others), and the transport's own first frame is out. Where
 * it depends on the session's previous stream, it waits for that one's release, or for its node's death.
 */
export class StreamStarts {
  readonly #node: DeliveryNode;
  readonly #host: StreamStartsHost;
  readonly #unsettled: LocalStream[] = [];
  readonly #predecessors: Predecessors<LocalStream>;

  constructor(node: DeliveryNode, host: StreamStartsHost) {
    this.#node = node;
    this.#host = host;
    this.#predecessors = new Predecessors(
      (predecessor, heardWithinMs) => node.backplane.inspect(predecessor, heardWithinMs),
      (waiting, cursor) => this.#predecessorDied(waiting, cursor),
      (error) => node.report(error),
      node.settings.resumeWindowMs + node.settings.sessionTimeoutMs,
    );
  }

  /** The stream's claim is in the log. */
  answered(stream: LocalStream, { epoch, position, claim }: Appended): void {
    const { beginning } = stream;
    if (!beginning) return;
    if (epoch !== this.#node.epoch || !claim) {
      this.#host.claimLost(stream);
      return;
    }
    beginning.answer = claim;
    beginning.start = this.#node.keepsLog ? decideStart(claim, stream.lastEventId, epoch) : { kind: 'after', position };
    stream.startAfter(earliestStart(beginning.start, claim));
    if (stream.state === 'ended') {
      this.#host.claimedTooLate(stream);
      return;
    }
    if (this.#node.isAdopting || position <= this.#node.adoptedAt) {
      this.#host.claimSkipped(stream);
      return;
    }
    if (this.#node.cursor >= position) stream.claimRead = true;
    if (beginning.passedOver) this.#begin(stream);
    else this.#settleLater(stream);
  }

  /** Nobody will read this stream: all that is left to do is to say where it would have begun. */
  passOver(stream: LocalStream): void {
    if (!stream.beginning) return;
    stream.beginning.passedOver = true;
    this.#begin(stream);
  }

  /** The node has read the stream's claim. */
  claimRead(stream: LocalStream): void {
    stream.claimRead = true;
    this.#beginSoon(stream);
  }

  /** A claim of the stream's session was released; the next stream starts after `detach`. */
  released(stream: LocalStream, claim: string, end: StreamEnd): void {
    if (!stream.beginning) return;
    stream.beginning.releases ??= new Map();
    stream.beginning.releases.set(claim, end);
    if (stream.state === 'waiting') this.#beginSoon(stream);
  }

  /** The stream has ended before it began. */
  forget(stream: LocalStream): void {
    const start = stream.beginning?.start;
    if (start?.kind === 'wait') this.#predecessors.remove(start.previous.node, stream);
  }

  stop(): void {
    this.#predecessors.stop();
  }

  /** In a later macrotask than the answer of `create`: what the transport writes first is written by then. */
  #settleLater(stream: LocalStream): void {
    this.#unsettled.push(stream);
    if (this.#unsettled.length > 1) return;
    setTimeout(() => {
      for (const settled of this.#unsettled.splice(0)) {
        if (settled.beginning) settled.beginning.settled = true;
        this.#begin(settled);
      }
    }, 0);
  }

  /** Not at once: the node is in the middle of a part, and its cursor not behind it yet. */
  #beginSoon(stream: LocalStream): void {
    queueMicrotask(() => this.#begin(stream));
  }

  /** Begins once everything is known that it takes; called whenever some of it has become known. */
  #begin(stream: LocalStream): void {
    const { beginning } = stream;
    if (!beginning?.answer || !beginning.start) return;
    if (!beginning.passedOver && !(beginning.settled && stream.claimRead)) return;
    if (stream.state !== 'claiming' && stream.state !== 'waiting') return;
    const { answer, start } = beginning;
    if (start.kind === 'lost') this.#host.beginLost(stream);
    else if (start.kind === 'after') this.#host.beginAfter(stream, start.position, start.sent);
    else {
      const { previous } = start;
      const end = beginning.releases?.get(previous.claim);
      if (end) {
        this.#predecessors.remove(previous.node, stream);
        if (end.detach === LOST) this.#host.beginLost(stream);
        else this.#host.beginAfter(stream, Math.max(end.detach, answer.floor), end.sent);
      } else if (stream.state === 'claiming') {
        stream.state = 'waiting';
        this.#predecessors.add(previous.node, stream);
      }
    }
  }

  /** Its release may be in the log and not read yet: only what is still silent then counts as dead. */
  async #predecessorDied(waiting: ReadonlySet<LocalStream>, cursor: number | undefined): Promise<void> {
    await this.#node.caughtUp();
    for (const stream of [...waiting]) {
      const { beginning } = stream;
      if (stream.state !== 'waiting' || beginning?.start?.kind !== 'wait' || !beginning.answer) continue;
      if (beginning.releases?.has(beginning.start.previous.claim)) continue; // it begins in a moment
      beginning.start = startAfterDeath(beginning.start.previous, cursor, beginning.answer.floor);
      this.#begin(stream);
    }
  }
}
