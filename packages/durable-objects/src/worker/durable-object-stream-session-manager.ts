import {
  assertSessionId,
  type CreateStreamOptions,
  type ErrorHandler,
  guardErrorHandler,
  isStorable,
  randomId,
  SessionError,
  StreamSessionManager,
  utf8Length,
} from '@tmcp/session-manager';
import { callShard } from './calls.ts';
import { type DeliveryConfiguration, type DurableObjectDeliveryOptions, readDelivery } from './options.ts';
import { Outbox } from './outbox.ts';
import { keepRunning } from './request.ts';
import { type StreamCounters, WorkerStream } from './worker-stream.ts';

export type DurableObjectStreamSessionManagerOptions = DurableObjectDeliveryOptions;

/** Counters since this isolate made the manager. */
export type DurableObjectStreamStats = Readonly<StreamCounters> & {
  /** Streams held by this isolate. */
  readonly attached: number;
  /** Messages that were accepted. */
  readonly sent: number;
  /** Bytes that wait to be stored. */
  readonly backlogBytes: number;
  /** Entries behind the head: always 0, for shards send and Workers do not read. */
  readonly lag: number;
};

/**
 * Streams on Durable Objects. A session belongs to one of `shards` objects by a hash of its id; each stream has a
 * WebSocket of its own to that object, opened in the request that owns the stream. Make it at module scope: nothing
 * happens before the first call.
 *
 * - Storage: none here. Messages are accepted when the object has stored them.
 * - Life cycle: a stream lasts as long as its response. When its socket breaks it comes back with its position, and the
 *   client notices nothing. Isolates end without a word: what they held is given back by the runtime closing sockets.
 * - Constraints: order holds within a request and per session; two requests have no order among each other. A Worker
 *   may have six connections that are being opened at a time, and one subrequest per shard for each broadcast.
 * - Trade-off: one socket per stream costs a connect per stream, but nothing is shared between requests, which the
 *   runtime forbids for good reason.
 */
export class DurableObjectStreamSessionManager extends StreamSessionManager implements AsyncDisposable {
  readonly #configuration: DeliveryConfiguration;
  readonly #report: ErrorHandler;
  readonly #outbox: Outbox;
  readonly #streams = new Map<string, Set<WorkerStream>>();
  readonly #counters: StreamCounters = {
    delivered: 0,
    replayed: 0,
    notResumed: 0,
    slowReaders: 0,
    superseded: 0,
    discontinuities: 0,
    reconnects: 0,
  };
  #sent = 0;
  #closing: Promise<void> | undefined;

  /**
   * @param options name of the binding, or options
   * @throws SessionError `invalid-option`
   */
  constructor(options?: string | DurableObjectStreamSessionManagerOptions) {
    super();
    this.#configuration = readDelivery('DurableObjectStreamSessionManager', options);
    const { shards, shard, delivery } = this.#configuration;
    this.#report = guardErrorHandler(delivery.onError);
    this.#outbox = new Outbox({ ...delivery, shards, settings: shard });
  }

  /** @throws SessionError `invalid-id`, `closed`, `unavailable`, `timeout` */
  override async create(
    id: string,
    controller: ReadableStreamDefaultController,
    options?: CreateStreamOptions,
  ): Promise<void> {
    this.#assertOpen();
    assertSessionId(id);
    if (typeof controller?.enqueue !== 'function') {
      throw new SessionError('invalid-option', 'create needs the controller of a stream');
    }
    const stream = new WorkerStream(id, controller, options?.lastEventId || undefined, {
      ...this.#configuration,
      counters: this.#counters,
      report: this.#report,
      onEnd: (ended) => this.#forget(ended),
    });
    this.#remember(stream);
    await this.#outbox.run(this.#shardOf(id), () => stream.connect());
  }

  /** Never rejects: what cannot be done is reported. */
  override async delete(id: string): Promise<void> {
    try {
      this.#assertOpen();
      assertSessionId(id);
      const dead = [...(this.#streams.get(id) ?? [])].filter((stream) => stream.isDead());
      if (dead.length > 0) {
        await Promise.all(dead.map((stream) => stream.cancel()));
        return;
      }
      const { shards, delivery } = this.#configuration;
      const operation = randomId();
      const shard = this.#shardOf(id);
      await this.#outbox.run(shard, () =>
        callShard(delivery.sendTimeoutMs, () => shards.stub(shard).endSession(id, operation)),
      );
    } catch (error) {
      this.#reportAny(error);
    }
  }

  /** Whether a stream of this session is open anywhere, and its client there. @throws SessionError */
  override async has(id: string): Promise<boolean> {
    this.#assertOpen();
    assertSessionId(id);
    const { shards, shard, delivery } = this.#configuration;
    const answer = callShard(delivery.sendTimeoutMs, () => shards.stub(this.#shardOf(id)).has(id, shard));
    keepRunning(answer);
    return answer;
  }

  /** Sends a frame. Never rejects: what is not accepted is reported through `onError`. Use `publish` to know. */
  override async send(sessions: string[] | undefined, data: string): Promise<void> {
    try {
      await this.publish(sessions, data);
    } catch (error) {
      this.#reportAny(error);
    }
  }

  /**
   * Sends a frame and resolves when it is accepted: every shard that it concerns has stored it. Where some shards
   * failed, it rejects, and the others have it nevertheless.
   *
   * @param sessions ids of the receivers; `undefined` is every session of the namespace, `[]` is nobody
   * @throws SessionError `invalid-id`, `invalid-message`, `message-too-large`, `outbox-full`, `timeout`, `closed`
   */
  async publish(sessions: readonly string[] | undefined, data: string): Promise<void> {
    this.#assertOpen();
    const receivers = sessions === undefined ? undefined : uniqueIds(sessions);
    this.#assertMessage(data);
    // At module scope nothing can be sent, and no stream of this Worker can be open that would miss it.
    if (!keepRunning(Promise.resolve())) return;
    if (receivers === undefined) {
      const mergeable = data.includes('/list_changed"');
      await this.#outbox.send(this.#configuration.shards.all, () => ({ data }), mergeable);
      this.#sent += 1;
      return;
    }
    const byShard = new Map<number, string[]>();
    for (const id of receivers) {
      const shard = this.#shardOf(id);
      const ids = byShard.get(shard);
      if (ids) ids.push(id);
      else byShard.set(shard, [id]);
    }
    await this.#outbox.send([...byShard.keys()], (shard) => ({ to: byShard.get(shard) ?? [], data }), false);
    this.#sent += 1;
  }

  /** Counters for a metrics exporter; they are those of this isolate. */
  stats(): DurableObjectStreamStats {
    let attached = 0;
    for (const streams of this.#streams.values()) attached += streams.size;
    return { ...this.#counters, attached, sent: this.#sent, backlogBytes: this.#outbox.bytes, lag: 0 };
  }

  /** For a readiness probe: whether an object answers. Never rejects. */
  async health(): Promise<{ ok: boolean; error: SessionError | undefined }> {
    try {
      this.#assertOpen();
      const { shards, delivery } = this.#configuration;
      await callShard(delivery.sendTimeoutMs, () => shards.stub(0).check());
      return { ok: true, error: undefined };
    } catch (error) {
      return { ok: false, error: SessionError.is(error) ? error : undefined };
    }
  }

  /** Sends what waits, ends the streams of this isolate and gives their sessions back. Idempotent, never rejects. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    const streams = [...this.#streams.values()].flatMap((set) => [...set]);
    await Promise.all([this.#outbox.flushed(), ...streams.map((stream) => stream.end())]);
  }

  #shardOf(id: string): number {
    return this.#configuration.shards.of(id);
  }

  #remember(stream: WorkerStream): void {
    const streams = this.#streams.get(stream.session);
    if (streams) streams.add(stream);
    else this.#streams.set(stream.session, new Set([stream]));
  }

  #forget(stream: WorkerStream): void {
    const streams = this.#streams.get(stream.session);
    streams?.delete(stream);
    if (streams?.size === 0) this.#streams.delete(stream.session);
  }

  #assertOpen(): void {
    if (this.#closing) throw new SessionError('closed', 'this stream session manager was closed');
  }

  #assertMessage(data: string): void {
    if (typeof data !== 'string' || !isStorable(data)) {
      throw new SessionError('invalid-message', 'a message must be well-formed text without NUL characters');
    }
    const { maxMessageBytes } = this.#configuration.delivery;
    const bytes = utf8Length(data);
    if (bytes > maxMessageBytes) {
      throw new SessionError(
        'message-too-large',
        `a message of ${bytes} bytes exceeds "maxMessageBytes" (${maxMessageBytes}); raise it, or send less`,
      );
    }
  }

  #reportAny(error: unknown): void {
    this.#report(
      SessionError.is(error)
        ? error
        : new SessionError('unavailable', 'a call of the stream session manager failed', { cause: error }),
    );
  }
}

function uniqueIds(sessions: readonly string[]): Set<string> {
  if (!Array.isArray(sessions)) throw new SessionError('invalid-id', 'receivers must be a list of session ids');
  for (const id of sessions) assertSessionId(id);
  return new Set(sessions);
}
