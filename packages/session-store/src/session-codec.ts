import type { FieldVault } from './encryption/field-vault.ts';
import { SessionStoreError } from './errors.ts';
import { recordBytes, tooLarge } from './record-size.ts';
import type { Session } from './session.ts';
import type { FieldName, SessionKey, StoredRecord } from './session-driver.ts';
import { type FieldChanges, hasForm, isEncrypted } from './session-fields.ts';

/** Turns what callers hand in into what drivers store, and back. */
export class SessionCodec {
  readonly #vault: FieldVault;
  readonly maxRecordBytes: number;

  constructor(vault: FieldVault, maxRecordBytes: number) {
    this.#vault = vault;
    this.maxRecordBytes = maxRecordBytes;
  }

  /** @throws SessionStoreError `validation` for a write that is too large by itself, `encryption` */
  async seal(key: SessionKey, fields: FieldChanges['set']): Promise<StoredRecord['fields']> {
    const sealed = await this.sealAny(key, fields);
    const bytes = recordBytes(key, sealed);
    if (bytes > this.maxRecordBytes) throw tooLarge(bytes, this.maxRecordBytes);
    return sealed;
  }

  /** Whatever its size: what is stored already, and what cannot be had again. */
  sealAny(key: SessionKey, fields: FieldChanges['set']): Promise<StoredRecord['fields']> {
    return mapFields(fields, (name, json) => (isEncrypted(name) ? this.#vault.seal(key, name, json) : json));
  }

  /** The fields that the record has, as they were handed in. @throws SessionStoreError `encryption`, `corrupt` */
  async open(record: StoredRecord): Promise<Readonly<Partial<Record<FieldName, unknown>>>> {
    return mapFields(record.fields, async (name, stored) => {
      const json = isEncrypted(name) ? await this.#vault.open(record, name, stored) : stored;
      const value = parse(json);
      // An envelope that lost its mark is plain text to the vault, and must not pass for a value.
      if (value === undefined || !hasForm(name, value)) {
        throw new SessionStoreError('corrupt', `Session field ${name} is stored in a form that cannot be read`);
      }
      return value;
    });
  }

  async toSession(record: StoredRecord): Promise<Session> {
    const { userId, sessionId, status, createdAt, updatedAt, version } = record;
    const expiresAt = status === 'pending' ? record.pendingUntil : null;
    const fields = await this.open(record);
    return { sessionId, userId, status, createdAt, updatedAt, expiresAt, version, ...fields } as Session;
  }
}

function parse(json: string): unknown {
  try {
    return JSON.parse(json) as unknown;
  } catch {
    return undefined; // The parser quotes what it read.
  }
}

async function mapFields<From, To>(
  fields: Readonly<Partial<Record<FieldName, From>>>,
  map: (name: FieldName, value: From) => To | Promise<To>,
): Promise<Partial<Record<FieldName, To>>> {
  const entries = Object.entries(fields) as [FieldName, From][];
  const mapped = await Promise.all(entries.map(async ([name, value]) => [name, await map(name, value)] as const));
  return Object.fromEntries(mapped) as Partial<Record<FieldName, To>>;
}
