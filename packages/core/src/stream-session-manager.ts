import type { Awaitable } from './awaitable.ts';

/** What a stream is opened with, beside its session id and controller. */
export type CreateStreamOptions = {
  /**
   * The `Last-Event-ID` header of the request that opens the stream: delivery continues right after that event.
   * An id that is unknown, foreign or older than the log does no harm: the stream goes live at the head, gets
   * `list_changed` hints, and the event is reported as `not-resumed`.
   */
  readonly lastEventId?: string | undefined;
};

/**
 * Keeps the open notification streams of sessions: the SSE response to a `GET`, as the transports of TMCP hand it
 * over. The contract is that of `@tmcp/transport-http` 0.9 and `@tmcp/transport-sse` 0.6.
 */
export abstract class StreamSessionManager {
  /**
   * Registers the stream of a session. A session that already has a stream is taken over: the older stream gets
   * everything accepted before this call takes effect, then it ends.
   *
   * @param id session id, data of the client: any text of up to 1,024 bytes
   * @param controller controller of the response body; the manager enqueues `Uint8Array` chunks, each a whole SSE frame
   * @param options where to continue
   */
  abstract create(
    id: string,
    controller: ReadableStreamDefaultController,
    options?: CreateStreamOptions,
  ): Awaitable<void>;

  /**
   * Called for a stream that its client cancelled, and for a `DELETE` request. When a stream held for this id is
   * dead, only that stream is given up and the session can resume; otherwise the session ends everywhere.
   */
  abstract delete(id: string): Awaitable<void>;

  /** Whether a stream of this session is open anywhere in the cluster. */
  abstract has(id: string): Awaitable<boolean>;

  /**
   * Sends one SSE frame.
   *
   * @param sessions ids of the receivers; `undefined` is every session of the namespace, `[]` is nobody
   * @param data one complete SSE frame, ending in an empty line, without an `id:` field
   */
  abstract send(sessions: string[] | undefined, data: string): Awaitable<void>;
}
