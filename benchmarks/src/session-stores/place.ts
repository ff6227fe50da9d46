import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { queryOnce } from 'test-support';
import { NeonProxy } from '../../../packages/session-store/test/neon/support/neon-proxy.ts';
import type { Context } from '../benchmark.ts';

/** Where sessions can be kept. */
export type StoreKind = 'memory' | 'file' | 'redis' | 'postgres' | 'neon';

/** In the order in which they are measured. */
export const storeKinds: readonly StoreKind[] = ['memory', 'file', 'redis', 'postgres', 'neon'];

export const kindTitles: Readonly<Record<StoreKind, string>> = {
  memory: 'memory',
  file: 'file',
  redis: 'Redis',
  postgres: 'PostgreSQL (`pg`)',
  neon: 'Neon (HTTP)',
};

/** Where one store is alone. */
export type StorePlace = AsyncDisposable & {
  /** A path for `file`, nothing for `memory`. */
  readonly url: string;
  /** Requests that Neon's endpoint has had, where there is one. */
  requests?(): number;
};

/** @returns an empty place, with its table where that is one */
export async function openStorePlace(context: Context, kind: StoreKind): Promise<StorePlace> {
  if (kind === 'memory') return { url: '', [Symbol.asyncDispose]: async () => undefined };
  if (kind === 'file') return openFolder();
  if (kind === 'redis') return context.backend('redis').createPlace();
  const place = await context.backend('postgres').createPlace();
  for (const sql of migrations()) await queryOnce(place.url, sql);
  return kind === 'postgres' ? place : openEndpoint(place);
}

function openFolder(): StorePlace {
  const folder = mkdtempSync(join(tmpdir(), 'tmcp-bench-'));
  return {
    url: join(folder, 'sessions.json'),
    [Symbol.asyncDispose]: async () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** Neon's endpoint as the tests have it: in this process, in front of the same server. */
async function openEndpoint(place: StorePlace): Promise<StorePlace> {
  const proxy = await NeonProxy.start(place.url);
  return {
    url: proxy.urlOf(place.url),
    requests: () => proxy.requests.length,
    [Symbol.asyncDispose]: async () => {
      await proxy.close();
      await place[Symbol.asyncDispose]();
    },
  };
}

const MIGRATIONS = ['20260513010000_install_mcp_sessions.sql', '20260513030000_extend_mcp_sessions.sql'];

/** Those that the package brings along, as an operator would apply them. */
function migrations(): string[] {
  const root = dirname(createRequire(import.meta.url).resolve('@tmcp/session-store/package.json'));
  return MIGRATIONS.map((name) => readFileSync(join(root, 'migrations/neon', name), 'utf8'));
}
