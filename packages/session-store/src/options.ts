import { configError } from './session-errors.ts';

/** What one option accepts. `undefined` stands for "not given" and yields the fallback. */
export type OptionRule<T> = {
  /** Completes the sentence "must be …". */
  readonly expects: string;
  readonly accepts: (value: unknown) => boolean;
  readonly fallback: T;
};

export type OptionRules = Readonly<Record<string, OptionRule<unknown>>>;

/** The options after reading: every field there, defaults filled in. */
export type OptionsOf<R extends OptionRules> = {
  readonly [K in keyof R]: R[K] extends OptionRule<infer T> ? T : never;
};

/** The rules that options are put together from. */
export const option: {
  wholeNumber(fallback: number, range: { readonly min: number; readonly max: number }): OptionRule<number>;
  boolean(fallback: boolean): OptionRule<boolean>;
  /** Text that is not empty and matches. */
  text<F extends string | undefined>(fallback: F, pattern?: RegExp): OptionRule<string | F>;
  oneOf<const V extends string>(values: readonly V[], fallback: V): OptionRule<V>;
  callback<T extends (...args: never[]) => unknown>(): OptionRule<T | undefined>;
  /** Anything that the test accepts. */
  value<T>(expects: string, accepts: (value: unknown) => boolean): OptionRule<T | undefined>;
} = {
  wholeNumber: (fallback, { min, max }) => ({
    expects: `a whole number from ${min} to ${max}`,
    accepts: (value) => Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max,
    fallback,
  }),
  boolean: (fallback) => ({ expects: 'true or false', accepts: (value) => typeof value === 'boolean', fallback }),
  text: (fallback, pattern) => ({
    expects: pattern === undefined ? 'text that is not empty' : `text that matches ${pattern.source}`,
    accepts: (value) => typeof value === 'string' && value !== '' && (pattern?.test(value) ?? true),
    fallback,
  }),
  oneOf: (values, fallback) => ({
    expects: `one of ${values.join(', ')}`,
    accepts: (value) => (values as readonly unknown[]).includes(value),
    fallback,
  }),
  callback: () => ({ expects: 'a function', accepts: (value) => typeof value === 'function', fallback: undefined }),
  value: (expects, accepts) => ({ expects, accepts, fallback: undefined }),
};

/**
 * Reads the options of a backend.
 *
 * @throws SessionStoreError `config` for names that no rule has, and for values that their rule does not accept; the
 * value itself is not shown, it may be a key
 */
export function readOptions<const R extends OptionRules>(given: unknown, rules: R): OptionsOf<R> {
  if (given !== undefined && (typeof given !== 'object' || given === null || Array.isArray(given))) {
    throw configError('Options must be an object');
  }
  const values: Readonly<Record<string, unknown>> = { ...given };
  for (const name of Object.keys(values)) {
    if (!Object.hasOwn(rules, name)) throw configError(`Unknown option ${name.slice(0, 64)}`);
  }
  const read = Object.entries(rules).map(([name, rule]) => {
    const value = values[name];
    if (value === undefined) return [name, rule.fallback];
    if (!rule.accepts(value)) throw configError(`Option ${name} must be ${rule.expects}`);
    return [name, value];
  });
  return Object.fromEntries(read) as OptionsOf<R>;
}
