import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Session, SessionStoreError } from '@tmcp/session-store';
import { FileStorageBackend, type FileStorageOptions } from '@tmcp/session-store/file';
import { afterEach, beforeEach } from 'vitest';

/** A folder for each test, and the stores that it opens there. */
export type FilePlace = {
  readonly folder: string;
  /** Of the session file. */
  readonly path: string;
  /** What was given to `onError`. */
  readonly reports: SessionStoreError[];
  /** Without a key, unless the options say otherwise. It is disconnected after the test. */
  open(options?: Partial<FileStorageOptions>): FileStorageBackend;
};

/** Registers the hooks that make the folder anew for each test of this file, and remove it. */
export function useFilePlace(): FilePlace {
  const opened: FileStorageBackend[] = [];
  let folder = '';
  const place: FilePlace = {
    get folder() {
      return folder;
    },
    get path() {
      return join(folder, 'sessions.json');
    },
    reports: [],
    open(options = {}) {
      const onError = (error: SessionStoreError): unknown => place.reports.push(error);
      const store = new FileStorageBackend({ path: place.path, encryption: false, onError, ...options });
      opened.push(store);
      return store;
    },
  };
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'session-file-'));
    place.reports.length = 0;
  });
  afterEach(async () => {
    for (const store of opened.splice(0)) await store.disconnect();
    // The test may have removed it.
    await rm(folder, { recursive: true, force: true });
  });
  return place;
}

export const session = (sessionId: string, more: Partial<Session> = {}): Session => ({
  sessionId,
  userId: 'u',
  serverUrl: 'https://mcp.example',
  callbackUrl: 'https://app.example',
  transportType: 'sse',
  createdAt: Date.now(),
  ...more,
});
