import {
  chmod,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SessionStoreError } from '@tmcp/session-store';
import { FileStorageBackend, type FileStorageOptions } from '@tmcp/session-store/file';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

let folder: string;
let path: string;
let reports: SessionStoreError[];
const opened: FileStorageBackend[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'session-file-'));
  path = join(folder, 'sessions.json');
  reports = [];
});

afterEach(async () => {
  for (const store of opened.splice(0)) await store.disconnect();
  await rm(folder, { recursive: true });
});

function open(options: Partial<FileStorageOptions> = {}): FileStorageBackend {
  const store = new FileStorageBackend({ path, encryption: false, onError: (e) => reports.push(e), ...options });
  opened.push(store);
  return store;
}

const session = (sessionId: string, more: object = {}) => ({
  sessionId,
  userId: 'u',
  serverUrl: 'https://mcp.example',
  callbackUrl: 'https://app.example',
  transportType: 'sse' as const,
  createdAt: Date.now(),
  ...more,
});

describe('the session file', () => {
  it('file/documented-list: a bare list of sessions is read, and kept whole by the next change', async () => {
    const createdAt = Date.now() - 100 * 86_400_000;
    await writeFile(
      path,
      JSON.stringify([
        { ...session('a', { createdAt, status: 'active', tokens: { access_token: 't', token_type: 'b' } }) },
        {
          ...session('b', { createdAt, active: true }),
          userId: undefined,
          identity: 'u',
          transportType: 'streamable_http',
        },
        { ...session('c', { active: false }) },
        { ...session('old', { createdAt, status: 'pending' }) },
      ]),
      { mode: 0o600 },
    );
    const store = open();
    expect(await store.listIds('u')).toEqual(['a', 'b', 'c']);
    expect((await store.getCredentials('u', 'a'))?.tokens?.access_token).toBe('t');
    expect(await store.get('u', 'b')).toMatchObject({ status: 'active', transportType: 'streamable-http', createdAt });
    expect((await store.get('u', 'c'))?.status).toBe('pending');
    await store.create(session('d'));
    const document = JSON.parse(await readFile(path, 'utf8')) as { format: number; sessions: { sessionId: string }[] };
    expect(document.format).toBe(1);
    expect(document.sessions.map((found) => found.sessionId).sort()).toEqual(['a', 'b', 'c', 'd', 'old']);
    expect(await open().listIds('u')).toEqual(['a', 'b', 'c', 'd']);
  });

  it('file/sessions-and-credentials: credentials beside sessions come to the sessions they belong to', async () => {
    const tokens = (text: string): object => ({ tokens: { access_token: text, token_type: 'b' } });
    for (const credentials of [
      [
        { sessionId: 'a', identity: 'u', ...tokens('ta') },
        { sessionId: 'b', userId: 'u', ...tokens('tb') },
        { sessionId: 'a', userId: 'other', ...tokens('wrong') },
      ],
      { a: tokens('ta'), 'u:b': tokens('tb') },
    ]) {
      const sessions = [session('a', { status: 'active' }), session('b', { status: 'active' })];
      await writeFile(path, JSON.stringify({ sessions, credentials }), { mode: 0o600 });
      const store = open();
      expect((await store.getCredentials('u', 'a'))?.tokens?.access_token).toBe('ta');
      expect((await store.getCredentials('u', 'b'))?.tokens?.access_token).toBe('tb');
    }
  });

  it('file/earlier-times: times in other units give no longer life, and the file stays readable', async () => {
    const far = { createdAt: Date.now() * 1_000, updatedAt: Date.now() * 1_000, expiresAt: 1e300 };
    const sessions = [session('a', { ...far, status: 'active' }), session('b', { ...far, status: 'pending' })];
    await writeFile(path, JSON.stringify(sessions), { mode: 0o600 });
    const store = open();
    const found = await store.list('u');
    expect(found.map(({ sessionId }) => sessionId)).toEqual(['a', 'b']);
    for (const { createdAt, updatedAt, version } of found) {
      expect(createdAt).toBeLessThanOrEqual(Date.now());
      expect(updatedAt).toBeLessThanOrEqual(Date.now());
      expect(Number.isSafeInteger(version)).toBe(true);
    }
    expect(found[1]?.expiresAt).toBeLessThanOrEqual(Date.now() + 3_600_000);
    await store.create(session('c'));
    expect(await open().listIds('u')).toEqual(['a', 'b', 'c']);
  });

  it('file/empty: a file that is missing, empty or blank is an empty store', async () => {
    expect(await open().listAllIds()).toEqual([]);
    expect(await readdir(folder)).toEqual([]);
    for (const text of ['', ' \n', '\ufeff', '[]']) {
      await writeFile(path, text, { mode: 0o600 });
      expect(await open().listAllIds()).toEqual([]);
    }
  });

  it.each([
    ['{"format":1,"sessions":[', 'it is not JSON'],
    ['SECRET', 'it is not JSON'],
    ['null', 'it has no list of sessions'],
    ['"text"', 'it has no list of sessions'],
    ['{}', 'it has no list of sessions'],
    ['{"format":2,"sessions":[]}', 'it was written by a newer version of this package'],
    ['{"format":"1","sessions":[]}', 'its format is unknown'],
    ['{"format":1}', 'it has no list of sessions'],
    ['{"format":1,"sessions":[5]}', 'it holds a session that is not an object'],
    ['{"format":1,"sessions":[{"userId":"u"}]}', 'it holds a session without ids, times or version'],
    ['[{"sessionId":"s"}]', 'it holds a session without ids'],
    ['[[]]', 'it holds a session that is not an object'],
  ])('file/corrupt: %s is refused by every method, and left as it is', async (text, reason) => {
    await writeFile(path, text, { mode: 0o600 });
    const store = open();
    const error = { code: 'corrupt', message: `The session file is not valid: ${reason}; it was left unchanged` };
    await expect(store.init()).rejects.toMatchObject(error);
    await expect(store.get('u', 's')).rejects.toMatchObject(error);
    await expect(store.create(session('s'))).rejects.toMatchObject(error);
    await expect(store.clearAll()).rejects.toMatchObject(error);
    expect(await store.health()).toMatchObject({ ok: false, error: 'corrupt' });
    expect(await readFile(path, 'utf8')).toBe(text);
    expect(await readdir(folder)).toEqual(['sessions.json']);
  });

  it('file/not-utf-8: bytes that are no text are not replaced by others', async () => {
    await open().create(session('s', { serverName: 'x' }));
    const bytes = await readFile(path);
    bytes[bytes.indexOf('"x"') + 1] = 0xff;
    await writeFile(path, bytes);
    const error = { code: 'corrupt', message: 'The session file is not valid: it is not UTF-8; it was left unchanged' };
    await expect(open().create(session('t'))).rejects.toMatchObject(error);
    expect(await readFile(path)).toEqual(bytes);
  });

  it('file/corrupted-later: also when it becomes invalid while it is in use', async () => {
    const store = open();
    await store.create(session('s'));
    const good = await readFile(path, 'utf8');
    await writeFile(path, good.slice(0, -10));
    await expect(store.get('u', 's')).rejects.toMatchObject({ code: 'corrupt' });
    await expect(store.update('u', 's', { serverName: 'x' })).rejects.toMatchObject({
      code: 'corrupt',
    });
    expect(await readFile(path, 'utf8')).toBe(good.slice(0, -10));
    await writeFile(path, good);
    expect((await store.get('u', 's'))?.sessionId).toBe('s');
  });

  it('file/private: a file that is open to others is closed to them, with one warning', async () => {
    await writeFile(path, '[]');
    await chmod(path, 0o644);
    const store = open();
    await store.listAllIds();
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    await store.create(session('s'));
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(reports.map((report) => [report.severity, report.message])).toEqual([
      ['warning', 'The session file was open to others: its mode was set to 0600'],
    ]);
  });

  it('file/private-folder: a folder that it makes is closed to others', async () => {
    path = join(folder, 'a', 'b', 'sessions.json');
    await open().create(session('s'));
    expect((await stat(join(folder, 'a', 'b'))).mode & 0o777).toBe(0o700);
    expect((await stat(join(folder, 'a'))).mode & 0o777).toBe(0o700);
  });

  it('file/symbolic-link: a link stays a link, also one to a file that is not there yet', async () => {
    const target = join(folder, 'target');
    await mkdir(target);
    for (const name of ['there.json', 'not-yet.json']) {
      if (name === 'there.json') await writeFile(join(target, name), '[]', { mode: 0o600 });
      path = join(folder, `link-${name}`);
      await symlink(join('target', name), path);
      await open().create(session(name));
      expect((await lstat(path)).isSymbolicLink()).toBe(true);
      expect(await readFile(join(target, name), 'utf8')).toContain(`"${name}"`);
    }
    expect((await readdir(target)).sort()).toEqual(['not-yet.json', 'there.json']);
  });

  it('file/draft-of-the-dead: what a dead writer left is removed, other files are not', async () => {
    const left = 'sessions.json.123e4567-e89b-42d3-a456-426614174000.tmp';
    const others = ['sessions.json.notes.tmp', 'other.json.123e4567-e89b-42d3-a456-426614174000.tmp', 'x.tmp'];
    for (const name of [left, ...others]) await writeFile(join(folder, name), 'SECRET');
    const store = open();
    await store.create(session('s'));
    await store.disconnect();
    expect((await readdir(folder)).sort()).toEqual([...others, 'sessions.json'].sort());
  });

  it('file/lock-of-the-dead: a lock that nobody keeps fresh is taken over', async () => {
    const store = open({ operationTimeoutMs: 4_000 });
    await store.init();
    await mkdir(`${path}.lock`);
    const old = Date.now() / 1_000 - 60;
    await utimes(`${path}.lock`, old, old);
    await store.create(session('s'));
    await store.disconnect();
    expect(await readdir(folder)).toEqual(['sessions.json']);
  });

  it('file/lock-held: a writer that does not get the lock in time changes nothing and says so', async () => {
    const store = open({ operationTimeoutMs: 1_000 });
    await store.create(session('s'));
    // The caller is answered before the lock is given back.
    await expect.poll(() => mkdir(`${path}.lock`).then(() => 'mine', String)).toBe('mine');
    const error = await store.update('u', 's', { serverName: 'x' }).catch((reason: unknown) => reason);
    expect(error).toMatchObject({
      code: 'unavailable',
      message: 'Storage backend file is unavailable: update timed out after 1000 ms',
      outcome: 'not-applied',
      retryable: true,
    });
    // Reading needs no lock.
    expect((await store.get('u', 's'))?.serverName).toBeUndefined();
    await rm(`${path}.lock`, { recursive: true });
    await store.update('u', 's', { serverName: 'y' });
    expect((await store.get('u', 's'))?.serverName).toBe('y');
  });

  it('file/lock-stolen: two who both believe that they hold the lock lose nothing', async () => {
    const stores = Array.from({ length: 4 }, () => open({ operationTimeoutMs: 20_000 }));
    let stealing = true;
    // Whoever has the lock loses it again and again, as by writers that take it for that of a dead process.
    const thief = (async () => {
      while (stealing) {
        await rm(`${path}.lock`, { recursive: true, force: true });
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    })();
    const ids = Array.from({ length: 60 }, (_, at) => `s${at}`);
    try {
      await Promise.all(ids.map((id, at) => stores[at % 4]?.create(session(id))));
      await Promise.all(ids.map((id, at) => stores[(at + 1) % 4]?.update('u', id, { serverName: id })));
    } finally {
      stealing = false;
      await thief;
    }
    expect((await stores[0]?.list('u'))?.map((found) => found.serverName).sort()).toEqual([...ids].sort());
    for (const store of stores) await store.disconnect();
    expect((await readdir(folder)).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  it('file/unwritable: a folder that nobody may write to is an error at once', async () => {
    // Not by its mode, which holds nobody back who runs tests as root.
    await writeFile(join(folder, 'file'), '');
    path = join(folder, 'file', 'sessions.json');
    const store = open();
    await expect(store.create(session('s'))).rejects.toMatchObject({ code: 'unavailable', outcome: 'not-applied' });
    expect(await store.health()).toMatchObject({ ok: false, error: 'unavailable' });
  });

  it('file/changed-elsewhere: every change of the file is seen, however quickly they follow', async () => {
    const [a, b] = [open(), open()];
    await a.create(session('s'));
    for (let number = 0; number < 40; number += 1) {
      const [writer, reader] = number % 2 === 0 ? [a, b] : [b, a];
      // Texts of one length: the size of the file does not tell.
      const serverName = String(number).padStart(4, '0');
      await writer.update('u', 's', { serverName });
      expect((await reader.get('u', 's'))?.serverName).toBe(serverName);
    }
  });

  it('file/clock-set-back: every version has a time of its own, also when the last one is from the future', async () => {
    const store = open();
    await store.create(session('s'));
    const future = Date.now() / 1_000 + 3_600;
    await utimes(path, future, future);
    const times: bigint[] = [];
    for (let number = 0; number < 20; number += 1) {
      await store.update('u', 's', { serverName: String(number) });
      times.push((await stat(path, { bigint: true })).mtimeNs);
    }
    expect(new Set(times).size).toBe(times.length);
    expect(times).toEqual([...times].sort());
  });

  it('file/envelope-without-mark: what was encrypted is never returned as a value', async () => {
    const key = '7c'.repeat(32);
    await open({ encryption: key }).create(
      session('s', { tokens: { access_token: 't', token_type: 'b' }, codeVerifier: 'v' }),
    );
    const written = await readFile(path, 'utf8');
    await writeFile(path, written.replaceAll('"mcpenc:', '"ncpenc:'));
    for (const encryption of [false, key, { keys: key, allowPlaintextReads: true }] as const) {
      await expect(open({ encryption }).getCredentials('u', 's')).rejects.toMatchObject({
        code: encryption === key ? 'encryption' : 'corrupt',
      });
    }
  });

  it('file/disconnect-waits: what nobody waited for is written before it is closed', async () => {
    const store = open({ encryption: '7c'.repeat(32) });
    const calls = Array.from({ length: 5 }, (_, at) => store.create(session(`s${at}`)));
    await store.disconnect();
    expect(await readdir(folder)).toEqual(['sessions.json']);
    await Promise.all(calls);
    expect(await open({ encryption: '7c'.repeat(32) }).listIds('u')).toHaveLength(5);
  });

  it('file/options: a path is needed, and unknown options are refused', () => {
    const config = (make: () => unknown): unknown => {
      try {
        return make();
      } catch (error) {
        return error;
      }
    };
    expect(config(() => new FileStorageBackend({} as FileStorageOptions))).toMatchObject({ code: 'config' });
    expect(config(() => new FileStorageBackend({ path, file: 'x' } as FileStorageOptions))).toMatchObject({
      code: 'config',
      message: 'Unknown option file',
    });
    expect(config(() => new FileStorageBackend({ path, pendingMs: -1 }))).toMatchObject({ code: 'config' });
  });
});
