import { invalid } from './session-errors.ts';
import type { Guard, LockOptions, Reveal } from './session-store.ts';

/** Every option of every call. */
type CallOptions = Guard &
  Reveal &
  LockOptions & {
    readonly limit?: number | undefined;
    readonly cursor?: string | undefined;
    readonly batch?: number | undefined;
    readonly staleAccessToken?: string | undefined;
  };

type Name = keyof CallOptions;
type Rule = { readonly expects: string; readonly accepts: (value: unknown) => boolean };

const number: Rule = { expects: 'a whole number', accepts: Number.isSafeInteger };
const text: Rule = { expects: 'text', accepts: (value) => typeof value === 'string' };

/** What each of them is; how large numbers may be is up to who uses them. */
const RULES: Readonly<Record<Name, Rule>> = {
  ifVersion: number,
  includeCredentials: { expects: 'true or false', accepts: (value) => typeof value === 'boolean' },
  ttlMs: number,
  waitMs: number,
  signal: { expects: 'an AbortSignal', accepts: (value) => value instanceof AbortSignal },
  limit: number,
  // Who reads it says more of what is wrong with it.
  cursor: { expects: 'text', accepts: () => true },
  batch: number,
  staleAccessToken: text,
};

/**
 * Reads the options of a call. A misspelled `ifVersion` that were ignored would overwrite what others wrote.
 *
 * @param names of those that the call has
 * @throws SessionStoreError `validation`; the value itself is not shown, it may be a token
 */
export function readCallOptions<N extends Name>(given: unknown, ...names: readonly N[]): Pick<CallOptions, N> {
  if (given === undefined) return {} as Pick<CallOptions, N>;
  if (typeof given !== 'object' || given === null || Array.isArray(given)) throw invalid('Options must be an object');
  for (const [name, value] of Object.entries(given)) {
    if (!(names as readonly string[]).includes(name)) throw invalid(`Unknown option ${name.slice(0, 64)}`);
    const { accepts, expects } = RULES[name as N];
    if (value !== undefined && !accepts(value)) throw invalid(`Option ${name} must be ${expects}`);
  }
  return given as Pick<CallOptions, N>;
}

/** @throws SessionStoreError `validation` */
export function assertFunction(what: string, value: unknown): void {
  if (typeof value !== 'function') throw invalid(`${what} must be a function`);
}
