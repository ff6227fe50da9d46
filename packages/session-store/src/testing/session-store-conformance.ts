import { describe, expect, it } from 'vitest';
import type { BackendOptions } from '../backend-options.ts';
import type { KeyProvider } from '../encryption/encryption-options.ts';
import type { SessionStoreError } from '../errors.ts';
import type { SessionStore } from '../session-store.ts';
import type { Case, Cases, ConformanceBackend } from './case-kit.ts';
import { concurrencyCases } from './cases/concurrency-cases.ts';
import { createCases } from './cases/create-cases.ts';
import { credentialCases } from './cases/credential-cases.ts';
import { encryptionCases } from './cases/encryption-cases.ts';
import { idCases } from './cases/id-cases.ts';
import { lifetimeCases } from './cases/lifetime-cases.ts';
import { listCases } from './cases/list-cases.ts';
import { lockCases } from './cases/lock-cases.ts';
import { mutationCases } from './cases/mutation-cases.ts';
import { refreshCases } from './cases/refresh-cases.ts';
import { sharedCases } from './cases/shared-cases.ts';
import { sizeCases } from './cases/size-cases.ts';
import { storeCases } from './cases/store-cases.ts';
import { updateCases } from './cases/update-cases.ts';

export type ConformanceOptions = {
  /** Whether stores of one place see each other's data. @default true */
  readonly sharesData?: boolean | undefined;
  /** Of one case. @default 60_000 */
  readonly timeoutMs?: number | undefined;
  /**
   * Runs several cases at the same time, for many of them only wait. For backends whose places have nothing in common:
   * no table, prefix or file that two of them would use.
   * @default false
   */
  readonly concurrent?: boolean | undefined;
};

const CASES: readonly Cases[] = [
  createCases,
  updateCases,
  sizeCases,
  storeCases,
  idCases,
  listCases,
  lifetimeCases,
  credentialCases,
  concurrencyCases,
  lockCases,
  refreshCases,
  mutationCases,
];

/** What writes and reads secrets. Which of several keys they are under makes no difference to the other cases. */
const CASES_OF_SECRETS: readonly Cases[] = [createCases, updateCases, credentialCases, refreshCases];

/**
 * Registers with vitest what every `SessionStore` must do: without a key, with a key, and with data under several keys.
 *
 * @param name of the backend, in titles
 * @param makeBackend an empty place for one case
 */
export function sessionStoreConformance(
  name: string,
  makeBackend: () => Promise<ConformanceBackend>,
  { sharesData = true, timeoutMs = 60_000, concurrent = false }: ConformanceOptions = {},
): void {
  const all = sharesData ? [...CASES, sharedCases] : CASES;
  const variants: readonly (readonly [string, readonly Cases[], () => BackendOptions])[] = [
    ['without a key', all, () => ({ encryption: false })],
    ['with a key', all, () => ({ encryption: '1f'.repeat(32) })],
    ['after rotations', CASES_OF_SECRETS, () => ({ encryption: new RotatingKeys() })],
  ];
  for (const [variant, cases, options] of variants) {
    describe(`${name}, ${variant}`, { concurrent }, () => register(cases, makeBackend, options, timeoutMs));
  }
  describe(`${name}, encryption`, { concurrent }, () => {
    register(sharesData ? [encryptionCases] : [], makeBackend, () => ({}), timeoutMs);
    it('kit/places-share-data: the backend says truly whether its stores see each other', async () => {
      const backend = await makeBackend();
      expect(backend.sharesData).toBe(sharesData);
      await backend.cleanUp();
    });
  });
}

function register(
  cases: readonly Cases[],
  makeBackend: () => Promise<ConformanceBackend>,
  variant: () => BackendOptions,
  timeout: number,
): void {
  for (const [title, run] of cases.flatMap((group) => Object.entries(group))) {
    it(title, { timeout }, () => runCase(run, makeBackend, variant(), timeout));
  }
}

async function runCase(
  run: Case,
  makeBackend: () => Promise<ConformanceBackend>,
  variant: BackendOptions,
  timeoutMs: number,
): Promise<void> {
  const backend = await makeBackend();
  const opened: SessionStore[] = [];
  const reports: SessionStoreError[] = [];
  const open = async (options: BackendOptions = {}): Promise<SessionStore> => {
    const store = await backend.open({
      onError: (error) => reports.push(error),
      // That a machine is busy is no fault of the backend.
      operationTimeoutMs: timeoutMs / 2,
      ...variant,
      ...options,
    });
    opened.push(store);
    return store;
  };
  try {
    await run({ open, dump: backend.dump, reports });
    // Whatever nobody expected is a failure: a case that expects reports takes them out.
    expect(reports.filter((report) => report.severity === 'error')).toEqual([]);
  } finally {
    for (const store of opened) await store.disconnect();
    await backend.cleanUp();
  }
}

/** Every write uses another key, so that one session holds values under many. */
class RotatingKeys implements KeyProvider {
  #writes = 0;

  current(): { kid: string; key: Uint8Array } {
    this.#writes += 1;
    const kid = `k${this.#writes % 3}`;
    return { kid, key: this.byId(kid) };
  }

  byId(kid: string): Uint8Array {
    return new Uint8Array(32).fill(kid.charCodeAt(1));
  }
}
