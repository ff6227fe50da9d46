import { env } from 'cloudflare:workers';
import { type DurableObjectSessions, durableObjectSessions } from '@tmcp/session-manager-durable-objects';

/**
 * What all Workers share about sessions. At module scope, once for all requests: nothing happens before the first call.
 *
 * Of the two places for session info you need one: see "Durable Objects or KV" in the README.
 */
export const sessions: DurableObjectSessions =
  env.SESSION_INFO === 'kv' ? durableObjectSessions({ kv: 'TMCP_SESSION_INFO' }) : durableObjectSessions();
