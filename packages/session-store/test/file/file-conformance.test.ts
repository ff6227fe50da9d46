import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FileStorageBackend } from '@tmcp/session-store/file';
import { sessionStoreConformance } from '@tmcp/session-store/testing';
import { expect } from 'vitest';

sessionStoreConformance(
  'file',
  async () => {
    const folder = await mkdtemp(join(tmpdir(), 'session-store-'));
    const path = join(folder, 'made', 'sessions.json');
    return {
      open: (options) => new FileStorageBackend({ ...options, path }),
      sharesData: true,
      dump: () => readFile(path, 'utf8'),
      cleanUp: async () => {
        const left = await readdir(join(folder, 'made')).catch(() => []);
        expect(left.filter((name) => name !== 'sessions.json')).toEqual([]);
        if (left.length > 0) expect((await stat(path)).mode & 0o777).toBe(0o600);
        await rm(folder, { recursive: true });
      },
    };
  },
  { concurrent: true },
);
