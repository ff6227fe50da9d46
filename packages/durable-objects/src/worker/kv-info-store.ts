import type { Age, InfoField, InfoRow, InfoStore } from '@tmcp/session-manager';
import { SessionError } from '@tmcp/session-manager';
import { keepRunning } from './request.ts';

/** Metadata of each key: what is needed without getting values. */
type Called = { readonly called: number };

const FIELDS: readonly InfoField[] = ['clientInfo', 'clientCapabilities', 'logLevel'];
/** Names of 0.3.0, which are read as long as nothing newer stands beside them. */
const OLD_NAMES = { clientInfo: 'client_info', clientCapabilities: 'client_capabilities', logLevel: 'log_level' };

/** KV refuses anything shorter. */
const SHORTEST_TTL_S = 60;
/** How long a deletion is remembered: longer than a write can be late. */
const TOMBSTONE_S = 120;

const TICK_MS = 5;

const encoder = new TextEncoder();

/**
 * Session info in Workers KV.
 *
 * - Keys: `tmcp2:<namespace>:info:<id>:<field>`, `…:gone:<id>`, `…:sub:<uri>:<id>` and `…:of:<id>:<uri>`, where ids, URIs and
 *   namespaces are SHA-256 digests: whatever they hold, keys are short and no prefix is that of another. The session id
 *   of a subscription stands in its metadata, so that listing subscribers gets no values, and pages with a cursor.
 * - Every key expires by itself. Keys of 0.3.0 are read, never written; they are deleted with their session.
 * - KV is eventually consistent: what one location wrote, another may see after a minute. Moments are those of Workers.
 */
export class KvInfoStore implements InfoStore {
  readonly #namespace: () => KVNamespace;
  readonly #name: string;
  readonly #ttlS: number;
  readonly #readsOld: boolean;

  constructor(kv: () => KVNamespace, namespace: string, ttlMs: number) {
    this.#namespace = kv;
    this.#name = namespace;
    this.#readsOld = namespace === 'default';
    this.#ttlS = Math.max(SHORTEST_TTL_S, Math.ceil(ttlMs / 1_000));
  }

  async read(id: string): Promise<InfoRow> {
    return attempt(async () => {
      const [gone, ...values] = await Promise.all([
        this.#goneSince(id),
        ...FIELDS.map(async (field) => {
          const key = await this.#key('info', id, field);
          return this.#kv.getWithMetadata<Called>(key);
        }),
      ]);
      const row: { [F in InfoField]?: string } = {};
      for (const [index, field] of FIELDS.entries()) {
        const { value, metadata } = values[index] ?? { value: null, metadata: null };
        if (value !== null && (metadata?.called ?? 0) > gone) row[field] = value;
        else if (gone === 0 && this.#readsOld) {
          const old = await this.#kv.get(`tmcp:${OLD_NAMES[field]}:${id}`).catch(tooLong);
          if (old !== null) row[field] = old;
        }
      }
      return row;
    });
  }

  write(id: string, field: InfoField, json: string, age: Age): Promise<void> {
    return attempt(async () => {
      const called = Date.now() - age();
      const key = await this.#key('info', id, field);
      const [gone, { metadata }] = await Promise.all([this.#goneSince(id), this.#kv.getWithMetadata<Called>(key)]);
      // Clocks of Workers stand still between events: within that, what arrives later is later.
      if (called <= gone || called < (metadata?.called ?? 0) - TICK_MS) return;
      await this.#put(key, json, { called });
    });
  }

  subscribe(id: string, uri: string, age: Age): Promise<void> {
    return attempt(async () => {
      const called = Date.now() - age();
      if (called <= (await this.#goneSince(id))) return;
      const keys = await this.#subscription(id, uri);
      const { metadata } = await this.#kv.getWithMetadata<Called>(keys.sub);
      const newest = Math.max(called, metadata?.called ?? 0);
      // The reverse key first: what it names can be cleared up, whatever happens in between.
      await this.#put(keys.of, uri, { called: newest });
      await this.#put(keys.sub, id, { called: newest, ...(fits(id) && { id }) });
    });
  }

  unsubscribe(id: string, uri: string, age: Age): Promise<void> {
    return attempt(async () => {
      const called = Date.now() - age();
      const keys = await this.#subscription(id, uri);
      const { metadata } = await this.#kv.getWithMetadata<Called>(keys.sub);
      if ((metadata?.called ?? 0) > called) return;
      await Promise.all([this.#kv.delete(keys.sub), this.#kv.delete(keys.of)]);
      for await (const old of this.#oldSubscriptions(uri)) if (old.id === id) await this.#kv.delete(old.key);
    });
  }

  subscribers(uri: string): Promise<string[]> {
    return attempt(async () => {
      const ids: string[] = [];
      const prefix = await this.#key('sub', uri, '');
      for await (const { name, metadata } of this.#list<Called & { id?: string }>(prefix)) {
        const id = metadata?.id ?? (await this.#kv.get(name));
        if (id !== null) ids.push(id);
      }
      ids.push(...(await this.#oldSubscribers(uri)));
      return [...new Set(ids)];
    });
  }

  delete(id: string, age: Age): Promise<void> {
    return attempt(async () => {
      const called = Date.now() - age();
      const gone = Math.max(called, await this.#goneSince(id));
      await this.#kv.put(await this.#key('gone', id, ''), String(gone), { expirationTtl: TOMBSTONE_S });
      const keys = await Promise.all(FIELDS.map((field) => this.#key('info', id, field)));
      await Promise.all(keys.map((key) => this.#deleteCalledUpTo(key, called)));
      const prefix = await this.#key('of', id, '');
      for await (const { name, metadata } of this.#list<Called>(prefix)) {
        if ((metadata?.called ?? 0) > called) continue;
        const uri = await this.#kv.get(name);
        if (uri !== null) await this.#kv.delete((await this.#subscription(id, uri)).sub);
        await this.#kv.delete(name);
      }
      if (!this.#readsOld) return;
      for (const field of FIELDS) await this.#kv.delete(`tmcp:${OLD_NAMES[field]}:${id}`).catch(tooLong);
    });
  }

  check(): Promise<void> {
    return attempt(async () => {
      await this.#kv.get('tmcp2:health');
    });
  }

  async close(): Promise<void> {}

  get #kv(): KVNamespace {
    return this.#namespace();
  }

  async #goneSince(id: string): Promise<number> {
    return Number((await this.#kv.get(await this.#key('gone', id, ''))) ?? 0);
  }

  async #deleteCalledUpTo(key: string, called: number): Promise<void> {
    const { metadata } = await this.#kv.getWithMetadata<Called>(key);
    if ((metadata?.called ?? 0) <= called) await this.#kv.delete(key);
  }

  #put(key: string, value: string, metadata: Called & { readonly id?: string }): Promise<void> {
    return this.#kv.put(key, value, { expirationTtl: this.#ttlS, metadata });
  }

  async #subscription(id: string, uri: string): Promise<{ sub: string; of: string }> {
    const [idDigest, uriDigest] = await Promise.all([digest(id), digest(uri)]);
    return { sub: await this.#key('sub', uri, idDigest), of: await this.#key('of', id, uriDigest) };
  }

  async #key(kind: 'info' | 'gone' | 'sub' | 'of', name: string, rest: string): Promise<string> {
    return `tmcp2:${await digest(this.#name)}:${kind}:${await digest(name)}:${rest}`;
  }

  async *#list<M>(prefix: string): AsyncGenerator<KVNamespaceListKey<M, string>> {
    for (let cursor: string | null = null; ; ) {
      const page: KVNamespaceListResult<M, string> = await this.#kv.list<M>({ prefix, cursor });
      yield* page.keys;
      if (page.list_complete) return;
      cursor = page.cursor;
    }
  }

  async #oldSubscribers(uri: string): Promise<string[]> {
    const ids: string[] = [];
    for await (const { id } of this.#oldSubscriptions(uri)) ids.push(id);
    return ids;
  }

  /** 0.3.0 wrote `tmcp:subscriptions:<uri>:<uuid>` with the session id as value. */
  async *#oldSubscriptions(uri: string): AsyncGenerator<{ key: string; id: string }> {
    const prefix = `tmcp:subscriptions:${uri}:`;
    if (!this.#readsOld || encoder.encode(prefix).length > 476) return;
    for await (const { name } of this.#list(prefix)) {
      // A longer URI may begin with this one and a colon: then more than a UUID follows.
      const id = UUID.test(name.slice(prefix.length)) ? await this.#kv.get(name) : null;
      if (id !== null) yield { key: name, id };
    }
  }
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Metadata has 1,024 bytes. */
function fits(id: string): boolean {
  return encoder.encode(JSON.stringify(id)).length <= 900;
}

async function digest(text: string): Promise<string> {
  const bytes = new Uint8Array(await crypto.subtle.digest('SHA-256', encoder.encode(text)));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** 0.3.0 could not have written a key that KV refuses for its length. */
function tooLong(error: unknown): null {
  if (error instanceof Error && error.message.includes('414')) return null;
  throw error;
}

/** One write a second and key: what is refused for that is worth another try. */
async function attempt<T>(work: () => Promise<T>): Promise<T> {
  const running = work().catch((cause: unknown) => {
    if (SessionError.is(cause)) throw cause;
    throw new SessionError('unavailable', 'Workers KV failed', { cause });
  });
  keepRunning(running);
  return running;
}
