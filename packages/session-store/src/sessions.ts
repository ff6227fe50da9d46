import { EnvironmentSessions } from './environment-sessions.ts';
import type { SessionStore } from './session-store.ts';

/**
 * The store of this process, on the backend that the environment asks for: `MCP_TS_STORAGE_TYPE`, else the first of
 * `REDIS_URL`, `NEON_DATABASE_URL` and `MCP_TS_STORAGE_FILE` that is set, else memory. The environment is read, and the
 * backend started, by the first call.
 */
export const sessions: SessionStore = new EnvironmentSessions();
