import { mkdir, readdir, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { session, useFilePlace } from './file-harness.ts';

const place = useFilePlace();

describe('who writes the session file', () => {
  it('file/draft-of-the-dead: what a dead writer left is removed, other files are not', async () => {
    const left = 'sessions.json.123e4567-e89b-42d3-a456-426614174000.tmp';
    const others = ['sessions.json.notes.tmp', 'other.json.123e4567-e89b-42d3-a456-426614174000.tmp', 'x.tmp'];
    for (const name of [left, ...others]) await writeFile(join(place.folder, name), 'SECRET');
    const store = place.open();
    await store.create(session('s'));
    await store.disconnect();
    expect((await readdir(place.folder)).sort()).toEqual([...others, 'sessions.json'].sort());
  });

  it('file/lock-of-the-dead: a lock that nobody keeps fresh is taken over', async () => {
    const store = place.open({ operationTimeoutMs: 4_000 });
    await store.init();
    await mkdir(`${place.path}.lock`);
    const old = Date.now() / 1_000 - 60;
    await utimes(`${place.path}.lock`, old, old);
    await store.create(session('s'));
    await store.disconnect();
    expect(await readdir(place.folder)).toEqual(['sessions.json']);
  });

  it('file/lock-held: a writer that does not get the lock in time changes nothing and says so', async () => {
    const store = place.open({ operationTimeoutMs: 1_000 });
    await store.create(session('s'));
    // The caller is answered before the lock is given back.
    await expect.poll(() => mkdir(`${place.path}.lock`).then(() => 'mine', String)).toBe('mine');
    const error = await store.update('u', 's', { serverName: 'x' }).catch((reason: unknown) => reason);
    expect(error).toMatchObject({
      code: 'unavailable',
      message: 'Storage backend file is unavailable: update timed out after 1000 ms',
      outcome: 'not-applied',
      retryable: true,
    });
    // Reading needs no lock.
    expect((await store.get('u', 's'))?.serverName).toBeUndefined();
    await rm(`${place.path}.lock`, { recursive: true });
    await store.update('u', 's', { serverName: 'y' });
    expect((await store.get('u', 's'))?.serverName).toBe('y');
  });

  it('file/lock-stolen: two who both believe that they hold the lock lose nothing', async () => {
    const stores = Array.from({ length: 4 }, () => place.open({ operationTimeoutMs: 20_000 }));
    let stealing = true;
    // Whoever has the lock loses it again and again, as by writers that take it for that of a dead process.
    const thief = (async () => {
      while (stealing) {
        await rm(`${place.path}.lock`, { recursive: true, force: true });
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
    expect((await readdir(place.folder)).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  it('file/changed-elsewhere: every change of the file is seen, however quickly they follow', async () => {
    const [a, b] = [place.open(), place.open()];
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
    const store = place.open();
    await store.create(session('s'));
    const future = Date.now() / 1_000 + 3_600;
    await utimes(place.path, future, future);
    const times: bigint[] = [];
    for (let number = 0; number < 20; number += 1) {
      await store.update('u', 's', { serverName: String(number) });
      times.push((await stat(place.path, { bigint: true })).mtimeNs);
    }
    expect(new Set(times).size).toBe(times.length);
    expect(times).toEqual([...times].sort());
  });

  it('file/disconnect-waits: what nobody waited for is written before it is closed', async () => {
    const store = place.open({ encryption: '7c'.repeat(32) });
    const calls = Array.from({ length: 5 }, (_, at) => store.create(session(`s${at}`)));
    await store.disconnect();
    expect(await readdir(place.folder)).toEqual(['sessions.json']);
    await Promise.all(calls);
    expect(await place.open({ encryption: '7c'.repeat(32) }).listIds('u')).toHaveLength(5);
  });
});
