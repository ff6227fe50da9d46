import type { DriverContext } from '../backend-options.ts';
import { fieldBytes, idBytes } from '../record-size.ts';
import type {
  FieldName,
  NewRecord,
  PageRequest,
  Patch,
  PatchResult,
  RecordPage,
  SessionDriver,
  SessionKey,
  StoredRecord,
  SweepCounts,
} from '../session-driver.ts';
import { FIELDS } from '../session-fields.ts';
import { compareText } from '../text.ts';
import { masters, scanKeys } from './key-scan.ts';
import { hashFields, toRecord } from './record-hash.ts';
import { RedisCalls } from './redis-calls.ts';
import type { RedisClient } from './redis-client.ts';
import { type ParsedKey, RedisKeys } from './redis-keys.ts';
import { LIVE_IDS, PRUNE } from './scripts/index-scripts.ts';
import { INSERT } from './scripts/insert.ts';
import { ACQUIRE_LEASE, RELEASE_LEASE } from './scripts/lease.ts';
import { PATCH } from './scripts/patch.ts';
import { REMOVE } from './scripts/remove.ts';
import { serverWarnings } from './server-warnings.ts';

export type RedisDriverOptions = DriverContext & {
  /** In front of every key. */
  readonly prefix: string;
  /** Ends the client, if it is ours. */
  readonly end: () => Promise<void>;
};

/** Far below what a command may have of arguments, and a script of values on its stack. */
const BATCH = 500;

/**
 * Sessions in Redis: a hash for each, with its end as its expiry, and a sorted set of ids and ends for each user. Redis
 * drops what has ended. Every write is one script on keys of one slot, so that hash and set never disagree; what is
 * lost by eviction is taken out of the set when somebody lists.
 */
export class RedisDriver implements SessionDriver {
  readonly backend = 'redis';
  readonly #calls: RedisCalls;
  readonly #keys: RedisKeys;
  readonly #options: RedisDriverOptions;

  constructor(client: RedisClient, options: RedisDriverOptions) {
    this.#calls = new RedisCalls(client, options);
    this.#keys = new RedisKeys(options.prefix, client.options.keyPrefix ?? '');
    this.#options = options;
  }

  async init(): Promise<void> {
    // Nobody has this id. It shows that scripts run, and the clock of the server.
    await this.#calls.ask('init', LIVE_IDS, [this.#keys.index('')]);
  }

  async insert(record: NewRecord): Promise<'ok' | 'exists'> {
    const { pendingMs, maxPendingMs, dormantMs } = this.#options;
    const [status] = await this.#calls.write(
      'create',
      INSERT,
      [this.#keys.record(record), this.#keys.index(record.userId), this.#keys.lease(record)],
      [
        ...[record.sessionId, record.status, record.createdAt, record.updatedAt ?? ''],
        ...[Math.min(pendingMs, maxPendingMs), dormantMs],
        ...Object.entries(record.fields).flat(),
      ],
    );
    return oneOf(status, 'ok', 'exists');
  }

  async patch(key: SessionKey, patch: Patch): Promise<PatchResult> {
    const { pendingMs, maxPendingMs, dormantMs } = this.#options;
    const set = Object.entries(patch.set).flat();
    const ids = idBytes(key);
    const most = patch.maxBytes === undefined ? '' : patch.maxBytes - ids;
    const kept = FIELDS.filter((name) => patch.set[name] === undefined && !patch.unset.includes(name));
    const [status, answer] = await this.#calls.write(
      patch.kind === 'rekey' ? 'rekey' : patch.kind === 'touch' ? 'touch' : 'update',
      PATCH,
      [this.#keys.record(key), this.#keys.index(key.userId)],
      [
        ...[key.sessionId, patch.kind, patch.status ?? '', patch.ifVersion ?? ''],
        ...[pendingMs, maxPendingMs, dormantMs],
        ...[most, fieldBytes(patch.set), set.length, patch.unset.length],
        ...set,
        ...patch.unset,
        ...kept,
      ],
    );
    if (status === 'large') return { tooLarge: ids + Number(answer) };
    return status === 'ok' ? { version: Number(answer) } : oneOf(status, 'missing', 'conflict');
  }

  async read(key: SessionKey, fields: readonly FieldName[]): Promise<StoredRecord | undefined> {
    const command = ['hmget', this.#keys.record(key), ...hashFields(fields)] as const;
    const answer = await this.#calls.read('get', () => this.#calls.client.call(...command));
    return toRecord(key, fields, answer);
  }

  async readUser(userId: string, { fields, limit, after }: PageRequest): Promise<RecordPage> {
    const ids = await this.#liveIds('list', userId);
    if (after === undefined && ids.length <= limit) {
      return { records: (await this.#readAll(userId, ids, fields)).sort(byAge), more: false };
    }
    // More than fit: what decides the order comes first, then the page itself.
    const rest = (await this.#readAll(userId, ids, []))
      .filter((record) => after === undefined || byAge(record, after) > 0)
      .sort(byAge);
    const page = rest.slice(0, limit).map(({ sessionId }) => sessionId);
    const records = await this.#readAll(userId, page, fields);
    return { records: records.sort(byAge), more: rest.length > limit };
  }

  async listIds(userId: string): Promise<string[]> {
    const ids = await this.#liveIds('listIds', userId);
    const { client } = this.#calls;
    const found: string[] = [];
    for (const batch of batches(ids)) {
      const commands = batch.map((sessionId) => ['exists', this.#keys.record({ userId, sessionId })]);
      const answers = await this.#calls.read('listIds', () => pipelined(client, commands));
      found.push(...batch.filter((_, index) => answers[index] === 1));
    }
    await this.#prune('listIds', userId, without(ids, found));
    return found.sort(compareText);
  }

  async remove(key: SessionKey, ifVersion?: number): Promise<'ok' | 'missing' | 'conflict'> {
    return this.#remove('delete', key, ifVersion);
  }

  async acquireLease(
    key: SessionKey,
    token: string,
    ttlMs: number,
  ): Promise<{ readonly version: number } | 'missing' | 'held'> {
    const keys = [this.#keys.record(key), this.#keys.lease(key)];
    const [status, version] = await this.#calls.write('withLock', ACQUIRE_LEASE, keys, [ttlMs], token);
    return status === 'ok' ? { version: Number(version) } : oneOf(status, 'missing', 'held');
  }

  async releaseLease(key: SessionKey, token: string): Promise<void> {
    await this.#calls.write('withLock', RELEASE_LEASE, [this.#keys.lease(key)], [], token);
  }

  async *scan(operation: string = 'listAllIds'): AsyncGenerator<SessionKey> {
    const seen = new Set<string>();
    for await (const found of scanKeys(this.#calls, operation, this.#keys.pattern('records'))) {
      for (const name of found) {
        const parsed = this.#keys.parse(name);
        if (parsed?.kind !== 'record' || seen.has(name)) continue;
        seen.add(name);
        yield { userId: parsed.userId, sessionId: parsed.sessionId };
      }
    }
  }

  /** Redis does this by itself. */
  async sweep(): Promise<SweepCounts> {
    await this.#calls.read('cleanupExpired', () => this.#calls.client.call('ping'));
    return { pending: 0, dormant: 0 };
  }

  async clear(): Promise<void> {
    for await (const found of scanKeys(this.#calls, 'clearAll', this.#keys.pattern('all'))) {
      const keys = found.flatMap((name) => this.#keys.parse(name) ?? []);
      for (const batch of batches(keys)) await Promise.all(batch.map((key) => this.#clear(key)));
    }
  }

  async ping(): Promise<readonly string[]> {
    const warnings = await this.#calls.read('health', async () => {
      await this.#calls.client.call('ping');
      return Promise.all(masters(this.#calls).map(serverWarnings));
    });
    return [...new Set(warnings.flat())];
  }

  close(): Promise<void> {
    return this.#options.end();
  }

  async #liveIds(name: string, userId: string): Promise<string[]> {
    const [ids] = await this.#calls.ask(name, LIVE_IDS, [this.#keys.index(userId)]);
    return ids as string[];
  }

  /** Records of the ids that are there, in one pipeline. */
  async #readAll(userId: string, ids: readonly string[], fields: readonly FieldName[]): Promise<StoredRecord[]> {
    if (ids.length === 0) return [];
    const names = hashFields(fields);
    const commands = ids.map((sessionId) => ['hmget', this.#keys.record({ userId, sessionId }), ...names]);
    const answers = await this.#calls.read('list', () => pipelined(this.#calls.client, commands));
    const records = ids.flatMap((sessionId, index) => toRecord({ userId, sessionId }, fields, answers[index]) ?? []);
    const found = records.map(({ sessionId }) => sessionId);
    await this.#prune('list', userId, without(ids, found));
    return records;
  }

  async #prune(name: string, userId: string, ids: readonly string[]): Promise<void> {
    for (const batch of batches(ids)) {
      const records = batch.map((sessionId) => this.#keys.record({ userId, sessionId }));
      await this.#calls.write(name, PRUNE, [this.#keys.index(userId), ...records], batch);
    }
  }

  async #remove(name: string, key: SessionKey, ifVersion?: number): Promise<'ok' | 'missing' | 'conflict'> {
    const keys = [this.#keys.record(key), this.#keys.index(key.userId), this.#keys.lease(key)];
    const [status] = await this.#calls.write(name, REMOVE, keys, [key.sessionId, ifVersion ?? '']);
    return oneOf(status, 'ok', 'missing', 'conflict');
  }

  /** An index goes with its last record; one without records is left over from an eviction. */
  async #clear(key: ParsedKey): Promise<void> {
    if (key.kind === 'index') await this.#prune('clearAll', key.userId, await this.#liveIds('clearAll', key.userId));
    else await this.#remove('clearAll', key);
  }
}

async function pipelined(client: RedisClient, commands: (string | number)[][]): Promise<unknown[]> {
  const answers = await client.pipeline(commands).exec();
  if (answers === null) throw new Error('The pipeline was aborted');
  return answers.map(([error, answer]) => {
    if (error !== null) throw error;
    return answer;
  });
}

function byAge(
  a: Pick<StoredRecord, 'createdAt' | 'sessionId'>,
  b: Pick<StoredRecord, 'createdAt' | 'sessionId'>,
): number {
  return a.createdAt - b.createdAt || compareText(a.sessionId, b.sessionId);
}

function without(ids: readonly string[], found: readonly string[]): string[] {
  if (ids.length === found.length) return [];
  const there = new Set(found);
  return ids.filter((id) => !there.has(id));
}

function* batches<T>(list: readonly T[]): Generator<T[]> {
  for (let from = 0; from < list.length; from += BATCH) yield list.slice(from, from + BATCH);
}

function oneOf<const S extends string>(status: string, ...known: S[]): S {
  const found = known.find((one) => one === status);
  if (found === undefined) throw new Error(`A script answered ${status}`);
  return found;
}
