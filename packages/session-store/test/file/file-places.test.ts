import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, lstat, mkdir, readdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { session, useFilePlace } from './file-harness.ts';

const place = useFilePlace();

describe('where the session file stands', () => {
  it('file/private: a file that is open to others is closed to them, with one warning', async () => {
    await writeFile(place.path, '[]');
    await chmod(place.path, 0o644);
    const store = place.open();
    await store.listAllIds();
    expect((await stat(place.path)).mode & 0o777).toBe(0o600);
    await store.create(session('s'));
    expect((await stat(place.path)).mode & 0o777).toBe(0o600);
    expect(place.reports.map((report) => [report.severity, report.message])).toEqual([
      ['warning', 'The session file was open to others: its mode was set to 0600'],
    ]);
  });

  it('file/private-again: every version is closed to others, whatever became of the one before', async () => {
    const store = place.open();
    await store.create(session('s'));
    for (const [call, change] of Object.entries({
      update: () => store.update('u', 's', { serverName: 'x' }),
      touch: () => store.touch('u', 's'),
      withLock: () => store.withLock('u', 's', async () => undefined),
      delete: () => store.delete('u', 's'),
      clearAll: () => store.create(session('t')).then(() => store.clearAll()),
    })) {
      await chmod(place.path, 0o666);
      await change();
      expect([call, (await stat(place.path)).mode & 0o777]).toEqual([call, 0o600]);
    }
  });

  it('file/private-folder: a folder that it makes is closed to others, one that was there stays as it is', async () => {
    const [made, given] = [join(place.folder, 'a', 'b'), join(place.folder, 'given')];
    await mkdir(given);
    await chmod(given, 0o755);
    for (const folder of [made, given]) await place.open({ path: join(folder, 'sessions.json') }).create(session('s'));
    expect((await stat(made)).mode & 0o777).toBe(0o700);
    expect((await stat(join(place.folder, 'a'))).mode & 0o777).toBe(0o700);
    expect((await stat(given)).mode & 0o777).toBe(0o755);
    expect((await stat(join(given, 'sessions.json'))).mode & 0o777).toBe(0o600);
  });

  it('file/symbolic-link: a link stays a link, also one to a file that is not there yet', async () => {
    const target = join(place.folder, 'target');
    await mkdir(target);
    for (const name of ['there.json', 'not-yet.json']) {
      if (name === 'there.json') await writeFile(join(target, name), '[]', { mode: 0o600 });
      const path = join(place.folder, `link-${name}`);
      await symlink(join('target', name), path);
      await place.open({ path }).create(session(name));
      expect((await lstat(path)).isSymbolicLink()).toBe(true);
      expect(await readFile(join(target, name), 'utf8')).toContain(`"${name}"`);
    }
    expect((await readdir(target)).sort()).toEqual(['not-yet.json', 'there.json']);
  });
});

/** Longer than a test may take: whoever waits for its end fails. */
const NEVER = { operationTimeoutMs: 600_000 };

describe('where no session file can stand', () => {
  it('file/unwritable: the path and the reason are told at once', async () => {
    // Not by its mode, which holds nobody back who runs tests as root.
    await writeFile(join(place.folder, 'file'), '');
    const path = join(place.folder, 'file', 'sessions.json');
    const store = place.open({ path, ...NEVER });
    await expect(store.create(session('s'))).rejects.toMatchObject({
      code: 'unavailable',
      outcome: 'not-applied',
      message:
        `Storage backend file is unavailable: init failed at ${path} (ENOTDIR): ` +
        'check path, rights and space of the file',
    });
    expect(await store.health()).toMatchObject({ ok: false, error: 'unavailable' });
  });

  it.runIf(existsSync('/proc/self'))('file/no-place-for-files: also where rights seem to allow it', async () => {
    // Root may do everything there, but make files.
    for (const path of ['/proc/sessions.json', '/proc/nowhere/sessions.json', '/proc/self/sessions.json']) {
      for (const call of ['init', 'listAllIds', 'clearAll'] as const) {
        const message = `Storage backend file is unavailable: init failed at ${path} (`;
        await expect(place.open({ path, ...NEVER })[call]()).rejects.toMatchObject({
          code: 'unavailable',
          message: expect.stringContaining(message),
        });
      }
    }
  });

  it.runIf(process.platform !== 'win32')(
    'file/special: what is no ordinary file is neither read nor replaced',
    async () => {
      // For devices it is the same, but only root could make one for a test, or lose one to it.
      const makePipe = (): unknown => execFileSync('mkfifo', ['-m', '644', place.path]);
      const error = {
        code: 'config',
        message: `The session file has to be an ordinary file, and ${place.path} is none`,
      };
      const untouched = async () => {
        const stats = await stat(place.path);
        return stats.isFIFO() && (stats.mode & 0o777) === 0o644 && (await readdir(place.folder)).length === 1;
      };
      makePipe();
      await expect(place.open(NEVER).init()).rejects.toMatchObject(error);
      await expect(place.open(NEVER).create(session('s'))).rejects.toMatchObject({ ...error, outcome: 'not-applied' });
      expect(await untouched()).toBe(true);

      await rm(place.path);
      const store = place.open(NEVER);
      await store.create(session('s'));
      await rm(place.path);
      makePipe();
      await expect(store.get('u', 's')).rejects.toMatchObject(error);
      await expect(store.delete('u', 's')).rejects.toMatchObject({ ...error, outcome: 'not-applied' });
      await expect.poll(untouched).toBe(true);
    },
  );

  it('file/taken-away: a folder that is removed while it is in use is told at once, and used when it is back', async () => {
    const [folder, path] = [join(place.folder, 'a'), join(place.folder, 'a', 'sessions.json')];
    const store = place.open({ path, ...NEVER });
    await store.create(session('s'));
    // The caller is answered before the lock is given back.
    await expect.poll(() => readdir(folder)).toEqual(['sessions.json']);
    await rename(folder, join(place.folder, 'away'));
    await expect(store.update('u', 's', { serverName: 'x' })).rejects.toMatchObject({
      code: 'unavailable',
      outcome: 'not-applied',
      message: `Storage backend file is unavailable: update failed at ${path} (ENOENT)`,
    });
    // What is not there any more is not empty.
    const message = (operation: string) =>
      `Storage backend file is unavailable: ${operation} failed at ${path} (ENOENT)`;
    await expect(store.get('u', 's')).rejects.toMatchObject({ code: 'unavailable', message: message('get') });
    await expect(store.list('u')).rejects.toMatchObject({ code: 'unavailable', message: message('list') });
    await expect(store.listAllIds()).rejects.toMatchObject({ code: 'unavailable', message: message('listAllIds') });
    await rename(join(place.folder, 'away'), folder);
    await store.update('u', 's', { serverName: 'y' });
    expect((await store.get('u', 's'))?.serverName).toBe('y');
  });
});
