import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';

declare module 'vitest' {
  interface ProvidedContext {
    /** Where wrangler writes what nobody reads. */
    temporaryHome: string;
  }
}

/** Removed when all files have run: wrangler may write a last line after the end of its test. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const home = await mkdtemp(join(tmpdir(), 'tmcp-wrangler-'));
  project.provide('temporaryHome', home);
  return () => rm(home, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
}
