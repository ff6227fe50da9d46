import type { Context } from 'tmcp';
import type { Awaitable } from './awaitable.ts';

type SessionInfo = NonNullable<Context['sessionInfo']>;

/** What a client said of itself at `initialize`. */
export type ClientInfo = SessionInfo['clientInfo'];
/** What a client can do, as it said at `initialize`. */
export type ClientCapabilities = SessionInfo['clientCapabilities'];
/** The level of log messages that a client asked for with `logging/setLevel`. */
export type LogLevel = SessionInfo['logLevel'];

/**
 * Keeps what a client said about itself for the life of its session. The transports do not await the setters, so
 * no setter may throw, and a promise that a setter returns must not reject unhandled.
 */
export abstract class InfoSessionManager {
  /** Rejects with code `not-found` when nothing is stored. */
  abstract getClientInfo(id: string): Promise<ClientInfo>;
  abstract setClientInfo(id: string, clientInfo: ClientInfo): Awaitable<void>;

  /** Rejects with code `not-found` when nothing is stored. */
  abstract getClientCapabilities(id: string): Promise<ClientCapabilities>;
  abstract setClientCapabilities(id: string, clientCapabilities: ClientCapabilities): Awaitable<void>;

  /** Rejects with code `not-found` when nothing is stored. */
  abstract getLogLevel(id: string): Promise<LogLevel>;
  abstract setLogLevel(id: string, logLevel: LogLevel): Awaitable<void>;

  /** Ids of the sessions that subscribed to a resource. Never rejects: nobody is an empty list. */
  abstract getSubscriptions(uri: string): Promise<string[]>;
  abstract addSubscription(id: string, uri: string): Awaitable<void>;
  abstract removeSubscription(id: string, uri: string): Awaitable<void>;

  /** Forgets the session. Writes that were called before, but arrive later, do not bring it back. */
  abstract delete(id: string): Awaitable<void>;
}
