import { SessionError } from '../errors.ts';
import { assertSessionId } from '../session-id.ts';
import { type CreateStreamOptions, StreamSessionManager } from '../stream-session-manager.ts';
import type { Liveness } from './backplane.ts';
import type { OutgoingControl } from './batch.ts';
import { after, backOffMs, elapsedMs, type Moment, now, sleep } from './clock.ts';
import { withDeadline } from './deadline.ts';
import { EVERYONE } from './entries.ts';
import { LocalStreams, type StreamStats } from './local-streams.ts';
import type { DeliveryNode, Health, NodeStats } from './node.ts';
import { SECOND_LOOK_MS } from './predecessors.ts';
import { isStorable, utf8Length } from './text.ts';

export type StreamSessionManagerStats = NodeStats & StreamStats;

/** Ids of one operation take at most about this many bytes; a message to more sessions becomes several operations. */
const MAX_RECEIVER_BYTES = 24 * 1024;

const LIST_CHANGED = /"method":"notifications\/(?:tools|prompts|resources)\/list_changed"/;

/**
 * Streams on a log that several processes share: what every stream manager of this project is, whatever its backend.
 * See `docs/architecture.md` for how a message travels.
 */
export class BackplaneStreamSessionManager extends StreamSessionManager {
  readonly #node: DeliveryNode;
  readonly #streams: LocalStreams;
  #closing: Promise<void> | undefined;

  /** @param node the node whose streams this manager holds; it has no other stream manager */
  constructor(node: DeliveryNode) {
    super();
    this.#node = node;
    this.#streams = new LocalStreams(node);
    node.attachStreams(this.#streams);
  }

  /**
   * Claims the session and opens its stream, which then gets everything accepted since the session's previous stream
   * ended, or since its client's last event.
   *
   * @param id session id: well-formed text of 1 to 1,024 bytes without control characters
   * @throws SessionError `invalid-id`, `invalid-option`, `closed`, `unavailable`, `timeout`, or why the backend refuses
   */
  override async create(
    id: string,
    controller: ReadableStreamDefaultController,
    options?: CreateStreamOptions,
  ): Promise<void> {
    this.#assertOpen();
    assertSessionId(id);
    assertController(controller);
    await this.#streams.open(id, controller, readLastEventId(options));
  }

  /**
   * Gives up the session's stream when its client cancelled it, else ends the session everywhere. Never rejects: what
   * cannot be stored before the deadline is reported through `onError`.
   */
  override async delete(id: string): Promise<void> {
    try {
      this.#assertOpen();
      assertSessionId(id);
      const stored = this.#streams.giveUpDead(id) ?? this.#end(id);
      await withDeadline(
        stored,
        this.#node.settings.sendTimeoutMs,
        () => new SessionError('timeout', 'the end of a stream or session could not be stored within "sendTimeoutMs"'),
      );
    } catch (error) {
      this.#node.report(error);
    }
  }

  /**
   * Whether a stream of this session is open in any living process. A process whose connection vanished counts as
   * dead after a second look 300 ms later.
   *
   * @throws SessionError `invalid-id`, `closed`, `unavailable`, `timeout`, or why the backend refuses
   */
  override async has(id: string): Promise<boolean> {
    this.#assertOpen();
    assertSessionId(id);
    if (this.#streams.holds(id) && (this.#node.mayDeliver() || !this.#node.isOpen)) return true;
    await this.#node.ready();
    return withDeadline(
      this.#isHeldElsewhere(id),
      this.#node.settings.sendTimeoutMs + SECOND_LOOK_MS,
      () => new SessionError('timeout', 'the backend did not answer within "sendTimeoutMs"'),
    );
  }

  /**
   * Sends one SSE frame. Never rejects: what is not accepted is reported through `onError`. Use `publish` to know.
   *
   * @param sessions receivers; `undefined` is every session of the namespace, `[]` nobody
   */
  override async send(sessions: string[] | undefined, data: string): Promise<void> {
    try {
      await this.publish(sessions, data);
    } catch (error) {
      this.#node.report(error);
    }
  }

  /**
   * Sends one SSE frame and resolves when it is accepted: from then on it reaches every session it is addressed to,
   * once and in order. A message that was refused with `timeout` may have been stored nevertheless.
   *
   * @throws SessionError `invalid-id`, `invalid-message`, `message-too-large`, `outbox-full`, `timeout`, `closed`,
   *   `discontinuity`
   */
  async publish(sessions: readonly string[] | undefined, data: string): Promise<void> {
    this.#assertOpen();
    const payloadBytes = this.#measure(data);
    if (sessions === undefined || sessions === null) {
      const mergeable = LIST_CHANGED.test(data);
      await this.#node.send({ to: EVERYONE, payload: data, payloadBytes, mergeable });
      return;
    }
    if (!Array.isArray(sessions)) throw new SessionError('invalid-id', 'receivers must be an array of session ids');
    const receivers: string[] = [...new Set<string>(sessions)];
    for (const id of receivers) assertSessionId(id);
    const [only] = receivers;
    if (only === undefined) return;
    if (receivers.length === 1) await this.#node.send({ to: only, payload: data, payloadBytes });
    else await Promise.all(split(receivers).map((to) => this.#node.send({ to, payload: data, payloadBytes })));
  }

  /** Counters for a metrics exporter. */
  stats(): StreamSessionManagerStats {
    return { ...this.#node.stats(), ...this.#streams.stats() };
  }

  /** For a readiness probe: whether the backend answered lately. Never rejects. */
  health(): Promise<Health> {
    return this.#node.health();
  }

  /** Ends the streams held here, gives their sessions back, and stores what waits. Idempotent, never rejects. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    await this.#streams.close();
    await this.#node.detach();
  }

  /** The session ends, in call order with what was sent before. */
  async #end(id: string): Promise<void> {
    const end: OutgoingControl = { k: 'e', s: id };
    const giveUp = after(this.#node.settings.sendTimeoutMs, () => this.#node.withdraw(end));
    try {
      await this.#node.control(end);
    } finally {
      clearTimeout(giveUp);
    }
  }

  async #isHeldElsewhere(id: string): Promise<boolean> {
    const started = now();
    await this.#streams.releasesStored(id);
    const first = await this.#locate(id, started);
    if (first !== 'suspect') return first === 'attached';
    await sleep(SECOND_LOOK_MS);
    // A process whose connection is lost time and again shows by its beats that it lives; a dead one beats no more.
    return (await this.#locate(id, started, SECOND_LOOK_MS)) === 'attached';
  }

  /** A connection that is lost while it asks is no answer: it asks again, as long as there is time. */
  async #locate(id: string, started: Moment, heardWithinMs?: number): Promise<Liveness | undefined> {
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await this.#node.backplane.locate(id, heardWithinMs);
      } catch (error) {
        const passes = !SessionError.is(error) || error.code === 'unavailable' || error.code === 'timeout';
        const pauseMs = backOffMs(attempt, 20, 1_000);
        if (!passes || elapsedMs(started) + pauseMs >= this.#node.settings.sendTimeoutMs) throw error;
        await sleep(pauseMs);
      }
    }
  }

  #measure(data: string): number {
    if (typeof data !== 'string' || !isStorable(data)) {
      throw new SessionError('invalid-message', 'a message must be well-formed text without NUL characters');
    }
    const bytes = utf8Length(data);
    const { maxMessageBytes } = this.#node.settings;
    if (bytes > maxMessageBytes) {
      throw new SessionError(
        'message-too-large',
        `a message of ${bytes} bytes exceeds "maxMessageBytes" (${maxMessageBytes}); raise it, or send less`,
      );
    }
    return bytes;
  }

  #assertOpen(): void {
    if (this.#closing) throw new SessionError('closed', 'this session manager was closed');
  }
}

/** A byte stream takes a chunk away from whoever else gets it, and refuses the empty one that shows whether it lives. */
function assertController(controller: ReadableStreamDefaultController): void {
  if (typeof controller?.enqueue === 'function' && !('byobRequest' in controller)) return;
  throw new SessionError('invalid-option', 'a stream needs the controller of a ReadableStream that is no byte stream');
}

function readLastEventId(options: CreateStreamOptions | undefined): string | undefined {
  const lastEventId: unknown = options?.lastEventId ?? '';
  if (typeof lastEventId === 'string') return lastEventId || undefined;
  throw new SessionError('invalid-option', '"lastEventId" must be text');
}

/** Receivers of one message, in groups whose ids fit beside it. */
function split(receivers: readonly string[]): string[][] {
  const groups: string[][] = [];
  let group: string[] = [];
  let bytes = 0;
  for (const id of receivers) {
    bytes += id.length * 3 + 3;
    if (group.length > 0 && bytes > MAX_RECEIVER_BYTES) {
      groups.push(group);
      group = [];
      bytes = id.length * 3 + 3;
    }
    group.push(id);
  }
  groups.push(group);
  return groups;
}
