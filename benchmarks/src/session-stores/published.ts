import { COUNTER, type MeasuredStore, type SampleSession } from './measured-store.ts';
import type { StoreKind } from './place.ts';

/** What the published store calls its fields. */
type PublishedSession = Omit<SampleSession, 'userId'> & {
  readonly identity: string;
  readonly active: boolean;
  readonly transportType: 'streamable_http';
};

/**
 * `@mcp-ts/sdk` 1.6.1. It does not export its storage classes: there is one store per process, which it makes from the
 * environment with the first call. Files and Redis are the places that it shares with ours, besides memory.
 */
export async function openPublishedStore(kind: StoreKind, url: string): Promise<MeasuredStore> {
  process.env.MCP_TS_STORAGE_TYPE = kind;
  // It heeds this one with Supabase alone; that it does not here is measured.
  process.env.STORAGE_ENCRYPTION_KEY = '5c'.repeat(32);
  if (kind === 'file') process.env.MCP_TS_STORAGE_FILE = url;
  if (kind === 'redis') process.env.REDIS_URL = url;
  const { storage } = await import('published-mcp-ts-sdk/server');
  const get = async (userId: string, sessionId: string): Promise<SampleSession | null> =>
    fromPublished((await storage.getSession(userId, sessionId)) as PublishedSession | null);
  return {
    create: (session) => storage.createSession(toPublished(session)),
    get,
    list: async (userId) => (await storage.getIdentitySessionsData(userId)).length,
    update: (userId, sessionId, change) => storage.updateSession(userId, sessionId, change),
    // It has no versions: nobody can tell that another was first.
    increment: async (userId, sessionId) => {
      const session = await get(userId, sessionId);
      if (session === null) throw new Error('the session is gone');
      const headers = { ...session.headers, [COUNTER]: String(Number(session.headers[COUNTER]) + 1) };
      await storage.updateSession(userId, sessionId, { headers });
    },
    close: () => storage.disconnect(),
  };
}

function toPublished({ userId, ...session }: SampleSession): PublishedSession {
  return { ...session, identity: userId, active: true, transportType: 'streamable_http' };
}

function fromPublished(session: PublishedSession | null): SampleSession | null {
  return session === null ? null : { ...session, userId: session.identity };
}
