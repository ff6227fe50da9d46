import { readdir, readFile, writeFile } from 'node:fs/promises';
import { FileStorageBackend, type FileStorageOptions } from '@tmcp/session-store/file';
import { describe, expect, it } from 'vitest';
import { session, useFilePlace } from './file-harness.ts';

const place = useFilePlace();

describe('what stands in the session file', () => {
  it('file/documented-list: a bare list of sessions is read, and kept whole by the next change', async () => {
    const createdAt = Date.now() - 100 * 86_400_000;
    await writeFile(
      place.path,
      JSON.stringify([
        { ...session('a', { createdAt, status: 'active', tokens: { access_token: 't', token_type: 'b' } }) },
        {
          ...session('b', { createdAt }),
          active: true,
          userId: undefined,
          identity: 'u',
          transportType: 'streamable_http',
        },
        { ...session('c'), active: false },
        { ...session('old', { createdAt, status: 'pending' }) },
      ]),
      { mode: 0o600 },
    );
    const store = place.open();
    expect(await store.listIds('u')).toEqual(['a', 'b', 'c']);
    expect((await store.getCredentials('u', 'a'))?.tokens?.access_token).toBe('t');
    expect(await store.get('u', 'b')).toMatchObject({ status: 'active', transportType: 'streamable-http', createdAt });
    expect((await store.get('u', 'c'))?.status).toBe('pending');
    await store.create(session('d'));
    const document = JSON.parse(await readFile(place.path, 'utf8')) as {
      format: number;
      sessions: { sessionId: string }[];
    };
    expect(document.format).toBe(1);
    expect(document.sessions.map((found) => found.sessionId).sort()).toEqual(['a', 'b', 'c', 'd', 'old']);
    expect(await place.open().listIds('u')).toEqual(['a', 'b', 'c', 'd']);
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
      await writeFile(place.path, JSON.stringify({ sessions, credentials }), { mode: 0o600 });
      const store = place.open();
      expect((await store.getCredentials('u', 'a'))?.tokens?.access_token).toBe('ta');
      expect((await store.getCredentials('u', 'b'))?.tokens?.access_token).toBe('tb');
    }
  });

  it('file/earlier-times: times in other units give no longer life, and the file stays readable', async () => {
    const far = { createdAt: Date.now() * 1_000, updatedAt: Date.now() * 1_000, expiresAt: 1e300 };
    const sessions = [session('a', { ...far, status: 'active' }), session('b', { ...far, status: 'pending' })];
    await writeFile(place.path, JSON.stringify(sessions), { mode: 0o600 });
    const store = place.open();
    const found = await store.list('u');
    expect(found.map(({ sessionId }) => sessionId)).toEqual(['a', 'b']);
    for (const { createdAt, updatedAt, version } of found) {
      expect(createdAt).toBeLessThanOrEqual(Date.now());
      expect(updatedAt).toBeLessThanOrEqual(Date.now());
      expect(Number.isSafeInteger(version)).toBe(true);
    }
    expect(found[1]?.expiresAt).toBeLessThanOrEqual(Date.now() + 3_600_000);
    await store.create(session('c'));
    expect(await place.open().listIds('u')).toEqual(['a', 'b', 'c']);
  });

  it('file/empty: a file that is missing, empty or blank is an empty store', async () => {
    expect(await place.open().listAllIds()).toEqual([]);
    expect(await readdir(place.folder)).toEqual([]);
    for (const text of ['', ' \n', '\ufeff', '[]']) {
      await writeFile(place.path, text, { mode: 0o600 });
      expect(await place.open().listAllIds()).toEqual([]);
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
    await writeFile(place.path, text, { mode: 0o600 });
    const store = place.open();
    const error = { code: 'corrupt', message: `The session file is not valid: ${reason}; it was left unchanged` };
    await expect(store.init()).rejects.toMatchObject(error);
    await expect(store.get('u', 's')).rejects.toMatchObject(error);
    await expect(store.create(session('s'))).rejects.toMatchObject(error);
    await expect(store.clearAll()).rejects.toMatchObject(error);
    expect(await store.health()).toMatchObject({ ok: false, error: 'corrupt' });
    expect(await readFile(place.path, 'utf8')).toBe(text);
    expect(await readdir(place.folder)).toEqual(['sessions.json']);
  });

  it('file/not-utf-8: bytes that are no text are not replaced by others', async () => {
    await place.open().create(session('s', { serverName: 'x' }));
    const bytes = await readFile(place.path);
    bytes[bytes.indexOf('"x"') + 1] = 0xff;
    await writeFile(place.path, bytes);
    const error = { code: 'corrupt', message: 'The session file is not valid: it is not UTF-8; it was left unchanged' };
    await expect(place.open().create(session('t'))).rejects.toMatchObject(error);
    expect(await readFile(place.path)).toEqual(bytes);
  });

  it('file/corrupted-later: also when it becomes invalid while it is in use', async () => {
    const store = place.open();
    await store.create(session('s'));
    const good = await readFile(place.path, 'utf8');
    await writeFile(place.path, good.slice(0, -10));
    await expect(store.get('u', 's')).rejects.toMatchObject({ code: 'corrupt' });
    await expect(store.update('u', 's', { serverName: 'x' })).rejects.toMatchObject({
      code: 'corrupt',
    });
    expect(await readFile(place.path, 'utf8')).toBe(good.slice(0, -10));
    await writeFile(place.path, good);
    expect((await store.get('u', 's'))?.sessionId).toBe('s');
  });

  it('file/envelope-without-mark: what was encrypted is never returned as a value', async () => {
    const key = '7c'.repeat(32);
    await place
      .open({ encryption: key })
      .create(session('s', { tokens: { access_token: 't', token_type: 'b' }, codeVerifier: 'v' }));
    const written = await readFile(place.path, 'utf8');
    await writeFile(place.path, written.replaceAll('"mcpenc:', '"ncpenc:'));
    for (const encryption of [false, key, { keys: key, allowPlaintextReads: true }] as const) {
      await expect(place.open({ encryption }).getCredentials('u', 's')).rejects.toMatchObject({
        code: encryption === key ? 'encryption' : 'corrupt',
      });
    }
  });

  it('file/swapped-records: a value opens for the user, the session and the field that it was made for', async () => {
    const encryption = '7c'.repeat(32);
    const secrets = { headers: { h: 'v' }, authUrl: 'https://auth.example', codeVerifier: 'verifier' };
    const tokens = (userId: string) => ({ tokens: { access_token: `of-${userId}`, token_type: 'b' } });
    const store = place.open({ encryption });
    for (const userId of ['alice', 'bob']) {
      await store.create(session('s', { userId, ...secrets, ...tokens(userId), status: 'active' }));
    }
    await store.create(session('t', { userId: 'alice', ...secrets, ...tokens('alice'), status: 'active' }));
    type Stored = Record<string, unknown>;
    const document = JSON.parse(await readFile(place.path, 'utf8')) as { sessions: Stored[] };
    const of = (userId: string, sessionId: string): Stored =>
      document.sessions.find((found) => found.userId === userId && found.sessionId === sessionId) ??
      expect.unreachable();
    const [aliceS, aliceT, bobS] = [of('alice', 's'), of('alice', 't'), of('bob', 's')];
    const forgeries: Record<string, Stored[]> = {
      'whole records': [{ ...bobS, userId: 'alice' }, aliceT, { ...aliceS, userId: 'bob' }],
      'sessions of a user': [{ ...aliceS, sessionId: 't' }, { ...aliceT, sessionId: 's' }, bobS],
      'tokens of two users': [{ ...aliceS, tokens: bobS.tokens }, aliceT, { ...bobS, tokens: aliceS.tokens }],
      'two fields': [{ ...aliceS, codeVerifier: aliceS.authUrl, authUrl: aliceS.codeVerifier }, aliceT, bobS],
    };
    for (const [what, sessions] of Object.entries(forgeries)) {
      await writeFile(place.path, JSON.stringify({ ...document, sessions }));
      const call = place.open({ encryption }).get('alice', 's', { includeCredentials: true });
      const error: unknown = await call.catch((reason: unknown) => reason);
      expect([what, error]).toEqual([what, expect.objectContaining({ code: 'encryption' })]);
    }
    await writeFile(place.path, JSON.stringify(document));
    expect(await place.open({ encryption }).getCredentials('bob', 's')).toMatchObject(tokens('bob'));
  });

  it('file/fractions: a clock that counts parts of milliseconds leaves a file that others can read', async () => {
    const store = place.open({ now: () => Date.now() + 0.25 });
    await store.create(session('s'));
    await store.update('u', 's', { status: 'active' });
    expect((await place.open().get('u', 's'))?.status).toBe('active');
    let time = Number.NaN;
    const broken = place.open({ now: () => time });
    const error = { code: 'config', message: 'Option now must answer milliseconds since 1970', outcome: 'not-applied' };
    await expect(broken.create(session('t'))).rejects.toMatchObject(error);
    time = Date.now();
    expect(await broken.listIds('u')).toEqual(['s']);
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
    expect(config(() => new FileStorageBackend({ path: place.path, file: 'x' } as FileStorageOptions))).toMatchObject({
      code: 'config',
      message: 'Unknown option file',
    });
    expect(config(() => new FileStorageBackend({ path: place.path, pendingMs: -1 }))).toMatchObject({ code: 'config' });
  });
});
