import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sessions } from '@tmcp/session-store';
import { type NodeProcess, spawnNode } from 'test-support';
import { AuthorizationServer } from './authorization-server.ts';
import { type ProtectedServer, startProtectedServer } from './protected-server.ts';
import type { SessionKey } from './stored-provider.ts';
import type { Answer } from './worker.ts';

/** Where sessions are kept, for people. */
export type Place = { readonly title: string; readonly raw?: () => Promise<string> };

/** Everything that the steps work with. */
export class World {
  static async start(resources: AsyncDisposableStack): Promise<World> {
    const place = await choosePlace(resources);
    // A backend that cannot be had is said so before anything else begins.
    await sessions.init();
    const authorization = resources.use(await AuthorizationServer.start());
    const server = resources.use(await startProtectedServer(authorization));
    const key = { userId: `ada-${randomBytes(4).toString('hex')}`, sessionId: sessions.generateSessionId() };
    resources.defer(async () => {
      await sessions.delete(key.userId, key.sessionId);
      await sessions.disconnect();
    });
    return new World({ authorization, server, key, place });
  }

  readonly authorization: AuthorizationServer;
  readonly server: ProtectedServer;
  readonly key: SessionKey;
  readonly place: Place;

  private constructor(parts: Pick<World, 'authorization' | 'server' | 'key' | 'place'>) {
    this.authorization = parts.authorization;
    this.server = parts.server;
    this.key = parts.key;
    this.place = parts.place;
  }

  /** A new process of the application, which knows nothing but what is stored. */
  worker(): Promise<NodeProcess> {
    return spawnNode(new URL('./worker.ts', import.meta.url), [this.key.userId, this.key.sessionId]);
  }

  /** Has a process ask the server who it is. */
  async ask(worker: NodeProcess): Promise<Answer> {
    worker.send('whoami');
    return worker.nextMessage<Answer>(undefined, { timeoutMs: 60_000 });
  }
}

const CHOICES = ['MCP_TS_STORAGE_TYPE', 'REDIS_URL', 'NEON_DATABASE_URL', 'MCP_TS_STORAGE_FILE'] as const;

/** What the environment names, or a file of our own. It is read by `sessions` at its first call, here and in workers. */
async function choosePlace(resources: AsyncDisposableStack): Promise<Place> {
  process.env.STORAGE_ENCRYPTION_KEY ||= randomBytes(32).toString('hex');
  const chosen = CHOICES.find((name) => process.env[name]);
  if (chosen !== undefined) return { title: `the backend that ${chosen} names` };
  const directory = await mkdtemp(join(tmpdir(), 'example-oauth-client-'));
  resources.defer(() => rm(directory, { recursive: true, force: true }));
  const path = join(directory, 'sessions.json');
  process.env.MCP_TS_STORAGE_FILE = path;
  return { title: 'a file', raw: () => readFile(path, 'utf8') };
}
