import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

type Printed = {
  readonly byImport: readonly string[];
  readonly byUse: readonly string[];
  readonly error?: { readonly code: string; readonly message: string };
  readonly ids: readonly string[];
};

const program = (name: string): string => fileURLToPath(new URL(`./programs/${name}.ts`, import.meta.url));

/** Runs to its end, which must come by itself. */
async function run(env: Readonly<Record<string, string>>): Promise<Printed> {
  const { PATH } = process.env;
  const child = spawn(process.execPath, ['--import', program('watch-imports'), program('use-sessions')], {
    env: { ...(PATH === undefined ? {} : { PATH }), ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: 20_000,
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  const [code, signal] = await once(child, 'close');
  expect({ code, signal }).toEqual({ code: 0, signal: null });
  return JSON.parse(output) as Printed;
}

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'loading-'));
});

afterEach(async () => {
  await rm(folder, { recursive: true });
});

describe('what is loaded when', () => {
  it('loading/memory: neither importing nor using memory loads a driver or a module of Node', async () => {
    const { byImport, byUse, error, ids } = await run({});
    expect({ byImport, byUse, error }).toEqual({ byImport: [], byUse: [], error: undefined });
    expect(ids).toHaveLength(1);
  });

  it('loading/file: the file system is loaded by the first use, and nothing is left that keeps a process alive', async () => {
    const { byImport, byUse, ids } = await run({
      MCP_TS_STORAGE_FILE: join(folder, 's.json'),
      STORAGE_ENCRYPTION_KEY: '1'.repeat(64),
    });
    expect(byImport).toEqual([]);
    expect(byUse).toContain('node:fs/promises');
    expect(byUse).not.toContain('ioredis');
    expect(ids).toHaveLength(1);
    expect(await readdir(folder)).toEqual(['s.json']);
  });

  it.each([
    [{ REDIS_URL: 'redis://127.0.0.1:1' }, 'The redis backend needs the package ioredis: npm install ioredis'],
    [
      { NEON_DATABASE_URL: 'postgresql://u:p@127.0.0.1/db' },
      'The neon backend needs the package @neondatabase/serverless: npm install @neondatabase/serverless',
    ],
  ])('loading/missing-peer: %o', async (env, message) => {
    const { byImport, error } = await run({ ...env, MISSING: 'ioredis,@neondatabase/serverless,pg' });
    expect(byImport).toEqual([]);
    expect(error).toEqual({ code: 'config', message });
  });
});
