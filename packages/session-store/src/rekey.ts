import type { BackendConnection } from './backend-connection.ts';
import { SessionStoreError } from './errors.ts';
import type { SessionKey } from './session-driver.ts';
import { configError, conflict } from './session-errors.ts';
import { ENCRYPTED_FIELDS, type FieldChanges } from './session-fields.ts';

/** A session that others change all the time takes the newest key with those changes, but not for every field. */
const MOST_ATTEMPTS = 20;

/**
 * Encrypts everything with the newest key. A session that no key opens is no reason to leave the others under an old one:
 * it is reported, and is the error in the end.
 */
export async function rekeyAll(connection: BackendConnection): Promise<{ rewritten: number }> {
  let rewritten = 0;
  let failure: SessionStoreError | undefined;
  for await (const key of connection.iterate('rekey')) {
    try {
      if (await rekeySession(connection, key)) rewritten += 1;
    } catch (error) {
      if (!SessionStoreError.is(error) || error.code !== 'encryption') throw error;
      connection.reporter.error(error);
      failure ??= error;
    }
  }
  if (failure !== undefined) throw failure;
  return { rewritten };
}

/**
 * Encrypts the fields of one session with the newest key, unless they are already.
 *
 * @returns whether anything was written
 */
async function rekeySession(connection: BackendConnection, key: SessionKey): Promise<boolean> {
  for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt += 1) {
    const result = await rekeyOnce(connection, key);
    if (result !== 'conflict') return result === 'rewritten';
  }
  throw conflict(key.sessionId);
}

function rekeyOnce(connection: BackendConnection, key: SessionKey): Promise<'rewritten' | 'current' | 'conflict'> {
  return connection.call('rekey', 'write', async ({ driver, codec, vault }) => {
    if (!vault.hasKeys) {
      throw configError('Encryption is required but no key is configured: set STORAGE_ENCRYPTION_KEY');
    }
    const record = await driver.read(key, ENCRYPTED_FIELDS);
    if (record === undefined) return 'current';
    const stale: Record<string, string> = {};
    for (const name of ENCRYPTED_FIELDS) {
      const stored = record.fields[name];
      if (stored !== undefined && !(await vault.isCurrent(stored))) {
        stale[name] = await vault.open(key, name, stored);
      }
    }
    if (Object.keys(stale).length === 0) return 'current';
    const set = await codec.sealAny(key, stale as FieldChanges['set']);
    const result = await driver.patch(key, { kind: 'rekey', set, unset: [], ifVersion: record.version });
    if (result === 'conflict') return 'conflict';
    return result === 'missing' ? 'current' : 'rewritten';
  });
}
