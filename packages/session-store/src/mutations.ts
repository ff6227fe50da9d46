import { SessionStoreError } from './errors.ts';
import { redact } from './redact.ts';
import type { Reporter } from './report.ts';
import type { FieldName, SessionDriver, SessionKey } from './session-driver.ts';

/** A change that was made through this store, and that its backend has acknowledged. It holds names, never values. */
export type SessionMutation =
  | {
      /** `update`: every change of content, a refresh of tokens as well. `delete`: also where there was nothing. */
      readonly type: 'create' | 'update' | 'delete';
      readonly userId: string;
      readonly sessionId: string;
      /** What was set or cleared. Empty for `delete`. */
      readonly fields: readonly (FieldName | 'status')[];
      /** Milliseconds since 1970, by the clock of this process. */
      readonly at: number;
    }
  /** `clearAll`. */
  | { readonly type: 'clear'; readonly at: number };

export type MutationListener = (mutation: SessionMutation) => void;

/** Who wants to hear of changes. */
export class Mutations {
  readonly #listeners: Set<{ readonly tell: MutationListener }> = new Set();
  readonly #report: Pick<Reporter, 'error'>;

  constructor(report: Pick<Reporter, 'error'>) {
    this.#report = report;
  }

  /** @returns ends it */
  add(listener: MutationListener): () => void {
    const added = { tell: listener };
    this.#listeners.add(added);
    return () => void this.#listeners.delete(added);
  }

  /** What a listener throws or rejects with is reported: the change is made, and its caller has nothing to do with it. */
  readonly tell = (mutation: SessionMutation): void => {
    for (const { tell } of [...this.#listeners]) {
      try {
        const result: unknown = tell(mutation);
        if (result instanceof Promise) result.catch(this.#failed);
      } catch (error) {
        this.#failed(error);
      }
    }
  };

  readonly #failed = (error: unknown): void => {
    this.#report.error(new SessionStoreError('config', 'A listener of onMutation failed', { cause: redact(error) }));
  };
}

/**
 * The same driver, with everybody told of what it has changed. Here, and not where calls are made: whatever changes a
 * session comes by, and what is applied after its caller was told that it took too long is told as well.
 */
export function tellingDriver(driver: SessionDriver, { tell }: Pick<Mutations, 'tell'>): SessionDriver {
  const told = (
    type: 'create' | 'update' | 'delete',
    { userId, sessionId }: SessionKey,
    fields: readonly (FieldName | 'status')[],
  ): void => tell({ type, userId, sessionId, fields, at: Date.now() });
  return {
    backend: driver.backend,
    init: () => driver.init(),
    async insert(record) {
      const result = await driver.insert(record);
      if (result === 'ok') told('create', record, ['status', ...namesOf(record.fields)]);
      return result;
    },
    async patch(key, patch) {
      const result = await driver.patch(key, patch);
      const isChange = patch.kind === 'content' && typeof result === 'object' && 'version' in result;
      const status = patch.status === undefined ? [] : (['status'] as const);
      if (isChange) told('update', key, [...status, ...namesOf(patch.set), ...patch.unset]);
      return result;
    },
    read: (key, fields) => driver.read(key, fields),
    readUser: (userId, page) => driver.readUser(userId, page),
    listIds: (userId) => driver.listIds(userId),
    async remove(key, ifVersion) {
      const result = await driver.remove(key, ifVersion);
      if (result !== 'conflict') told('delete', key, []);
      return result;
    },
    acquireLease: (key, token, ttlMs) => driver.acquireLease(key, token, ttlMs),
    releaseLease: (key, token) => driver.releaseLease(key, token),
    scan: (operation) => driver.scan(operation),
    sweep: (limit) => driver.sweep(limit),
    async clear() {
      await driver.clear();
      tell({ type: 'clear', at: Date.now() });
    },
    ping: () => driver.ping(),
    close: () => driver.close(),
  };
}

function namesOf(fields: Readonly<Partial<Record<FieldName, string>>>): FieldName[] {
  return Object.keys(fields) as FieldName[];
}
