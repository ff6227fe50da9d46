/** What is stored of a session, one JSON text each. */
export type InfoField = 'clientInfo' | 'clientCapabilities' | 'logLevel';

/** The stored texts of one session; `undefined` is nothing. */
export type InfoRow = { readonly [F in InfoField]?: string | undefined };

/**
 * Milliseconds since the call that a write belongs to. A write may wait for its predecessor, for a connection, or for
 * a backend that is down: ask at the last moment, right before the statement leaves, and before the backend's clock
 * is read. A call may seem later than it was by the time that its statement takes, never earlier.
 */
export type Age = () => number;

/**
 * What a backend provides to `StoredInfoSessionManager`, which owns all other rules. An instance belongs to one
 * namespace. Rules that hold for every method:
 *
 * - Ids and URIs are data: no name, key pattern or statement is built from them unescaped. They are well-formed text
 *   without NUL, ids of at most 1,024 bytes, URIs of at most 65,536.
 * - It may be called again with the same arguments while the first call is still on its way.
 * - It rejects with a `SessionError`. Codes `unavailable` and `timeout` mean that trying again may help.
 * - Moments are those of the backend's clock, for the clocks of processes differ: a write was *called* at "now, less
 *   its age". A write called before the session's last deletion was called must change nothing, however late it
 *   arrives; a deletion removes only what was called before it.
 * - A session that was not used for `infoTtlMs` is forgotten. Reading its row and writing to it are uses.
 */
export interface InfoStore {
  /** All fields in one round trip. An unknown session is an empty row. */
  read(id: string): Promise<InfoRow>;

  /** Stores one field. Where two processes write the same one, what was called later stays. */
  write(id: string, field: InfoField, json: string, age: Age): Promise<void>;

  subscribe(id: string, uri: string, age: Age): Promise<void>;
  unsubscribe(id: string, uri: string, age: Age): Promise<void>;

  /** Ids of the sessions that subscribed to exactly this URI, each once. */
  subscribers(uri: string): Promise<string[]>;

  /** Forgets a session, known or not, and remembers when: for longer than any write can be late. */
  delete(id: string, age: Age): Promise<void>;

  /** Resolves when the backend answers and has what the store needs. */
  check(): Promise<void>;

  /** Closes what the store opened, nothing that was handed in. Idempotent. */
  close(): Promise<void>;
}
