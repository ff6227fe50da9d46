import { AsyncLocalStorage } from 'node:async_hooks';
import { StreamSessionManager } from '@tmcp/session-manager';

const requests = new AsyncLocalStorage<Request>();
const encoder = new TextEncoder();

/** How soon clients come back after their stream broke off. */
const RETRY_MS = 500;

/** Runs `respond` of the transport, so that the streams below know which request they are opened for. */
export function withRequest<T>(request: Request, respond: () => T): T {
  return requests.run(request, respond);
}

/**
 * What the transport leaves out when a client comes back for its stream, put between the transport and its manager:
 *
 * - The `Last-Event-ID` header is handed on, so that the stream continues right after that event.
 * - A client that comes back is let in at once, and its older stream ends. The transport answers 409 as long as there
 *   is one; but where a connection died silently, the server cannot know that before the client does.
 * - Clients are told how soon to come back.
 */
export class ReconnectingStreams extends StreamSessionManager {
  readonly #streams: StreamSessionManager;

  constructor(streams: StreamSessionManager) {
    super();
    this.#streams = streams;
  }

  override create(id: string, controller: ReadableStreamDefaultController): void | Promise<void> {
    const lastEventId = requests.getStore()?.headers.get('last-event-id') ?? undefined;
    const created = this.#streams.create(id, controller, { lastEventId });
    // Not before: a manager tells by the size of an empty queue what its client has not read yet.
    controller.enqueue(encoder.encode(`retry: ${RETRY_MS}\n\n`));
    return created;
  }

  override has(id: string): boolean | Promise<boolean> {
    // Asked of a GET only, whether it would be in the way: `create` takes over.
    return requests.getStore()?.method === 'GET' ? false : this.#streams.has(id);
  }

  override delete(id: string): void | Promise<void> {
    return this.#streams.delete(id);
  }

  override send(sessions: string[] | undefined, data: string): void | Promise<void> {
    return this.#streams.send(sessions, data);
  }
}
