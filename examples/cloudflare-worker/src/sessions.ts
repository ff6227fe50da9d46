import { env } from 'cloudflare:workers';
import {
  type DurableObjectSessions,
  durableObjectSessions,
  KVInfoSessionManager,
} from '@tmcp/session-manager-durable-objects';

/** What all Workers share about sessions. At module scope, once for all requests: nothing happens before the first call. */
export const sessions: DurableObjectSessions = env.SESSION_INFO === 'kv' ? withInfoInKv() : durableObjectSessions();

/** See "Durable Objects or KV" in the README. You need one of the two: leave the other out. */
function withInfoInKv(): DurableObjectSessions {
  const set = durableObjectSessions();
  return { ...set, sessionManager: { streams: set.sessionManager.streams, info: new KVInfoSessionManager() } };
}
