import { SessionError } from './errors.ts';
import { isPlainText } from './text.ts';

/**
 * What one option accepts. `undefined` stands for "not given" and yields the fallback, so that
 * `connectionString: process.env.DATABASE_URL` behaves the same whether the property is missing or undefined.
 */
export type OptionRule<T> = {
  /** Completes the sentence "must be …"; stands in the error message. */
  readonly expects: string;
  readonly accepts: (value: unknown) => boolean;
  readonly fallback: T;
};

export type OptionSpec = Readonly<Record<string, OptionRule<unknown>>>;

/** The options after reading: every field there, defaults filled in. */
export type OptionsOf<S extends OptionSpec> = {
  readonly [K in keyof S]: S[K] extends OptionRule<infer T> ? T : never;
};

/** `setTimeout` fires at once for more than this (24.8 days). */
export const MAX_TIMER_MS = 2_147_483_647;

/** The rules that options are put together from. */
export const option: {
  /** Whole milliseconds. `min` is 1 unless 0 has a meaning of its own ("off"); `max` is what timers can count. */
  durationMs(fallback: number, range?: { min?: number; max?: number }): OptionRule<number>;
  /** A size in bytes, above 0. */
  bytes(fallback: number, range?: { max?: number }): OptionRule<number>;
  integer(fallback: number, range: { min: number; max: number }): OptionRule<number>;
  boolean(fallback: boolean): OptionRule<boolean>;
  /** Text that is not empty. */
  text<F extends string | undefined = undefined>(fallback?: F): OptionRule<string | F>;
  /** Well-formed text of 1 to `maxBytes` UTF-8 bytes without control characters. */
  name(fallback: string, maxBytes: number): OptionRule<string>;
  oneOf<const V extends string>(values: readonly V[], fallback: V): OptionRule<V>;
  callback<T extends (...args: never[]) => unknown>(): OptionRule<T | undefined>;
  /** An object that has these methods: a client or pool that the application made. */
  having<T extends object>(...methods: readonly string[]): OptionRule<T | undefined>;
  /** A plain object whose fields are read by `readOptions` in their turn. */
  group<T extends object>(): OptionRule<T | undefined>;
} = {
  durationMs: (fallback, { min = 1, max = MAX_TIMER_MS } = {}) =>
    integerRule(fallback, min, max, 'a whole number of milliseconds'),
  bytes: (fallback, { max = Number.MAX_SAFE_INTEGER } = {}) => integerRule(fallback, 1, max, 'a whole number of bytes'),
  integer: (fallback, { min, max }) => integerRule(fallback, min, max, 'a whole number'),
  boolean: (fallback) => ({
    expects: 'true or false',
    accepts: (value) => typeof value === 'boolean',
    fallback,
  }),
  text: <F extends string | undefined = undefined>(fallback?: F): OptionRule<string | F> => ({
    expects: 'text that is not empty',
    accepts: (value) => typeof value === 'string' && value !== '',
    fallback: fallback as F,
  }),
  name: (fallback, maxBytes) => ({
    expects: `well-formed text of 1 to ${maxBytes} UTF-8 bytes without control characters`,
    accepts: (value) => typeof value === 'string' && isPlainText(value, maxBytes),
    fallback,
  }),
  oneOf: (values, fallback) => ({
    expects: `one of ${values.map((value) => JSON.stringify(value)).join(', ')}`,
    accepts: (value) => (values as readonly unknown[]).includes(value),
    fallback,
  }),
  callback: () => ({
    expects: 'a function',
    accepts: (value) => typeof value === 'function',
    fallback: undefined,
  }),
  having: (...methods) => ({
    expects: `an object with ${methods.map((method) => `${method}()`).join(', ')}`,
    accepts: (value) => hasMethods(value, methods),
    fallback: undefined,
  }),
  group: () => ({
    expects: 'an object of options',
    accepts: isOptionsObject,
    fallback: undefined,
  }),
};

/**
 * Reads the options of a class or factory: unknown names, wrong types and numbers out of range are refused.
 *
 * @param owner name of the class or factory, for the message
 * @param given what the caller passed; `undefined` is no option at all
 * @param spec one rule per option
 * @throws SessionError `invalid-option`, naming the option and what it accepts; of the value only a number is shown
 */
export function readOptions<const S extends OptionSpec>(owner: string, given: unknown, spec: S): OptionsOf<S> {
  if (given !== undefined && !isOptionsObject(given)) {
    throw invalidOption(owner, `expects an object of options, got ${describe(given)}`);
  }
  const values: Readonly<Record<string, unknown>> = given ?? {};
  for (const name of Object.keys(values)) {
    if (!Object.hasOwn(spec, name)) {
      throw invalidOption(owner, `unknown option "${name.slice(0, 64)}"; it knows ${Object.keys(spec).join(', ')}`);
    }
  }
  const read = Object.entries(spec).map(([name, rule]) => {
    const value = values[name];
    if (value === undefined) return [name, rule.fallback];
    if (!rule.accepts(value)) {
      throw invalidOption(owner, `option "${name}" must be ${rule.expects}, got ${describe(value)}`);
    }
    return [name, value];
  });
  return Object.fromEntries(read) as OptionsOf<S>;
}

/**
 * Exactly one of several options that exclude each other must be given.
 *
 * @throws SessionError `invalid-option`
 */
export function requireOneOf<T extends object>(owner: string, options: T, names: readonly (keyof T & string)[]): void {
  const given = names.filter((name) => options[name] !== undefined);
  const listed = names.map((name) => `"${name}"`).join(' or ');
  if (given.length === 0) throw invalidOption(owner, `needs the option ${listed}`);
  if (given.length > 1) {
    throw invalidOption(
      owner,
      `${given.map((name) => `"${name}"`).join(' and ')} cannot both be given; pass ${listed}`,
    );
  }
}

/** The error of a constructor that refuses its options. */
export function invalidOption(owner: string, problem: string): SessionError {
  return new SessionError('invalid-option', `${owner}: ${problem}`);
}

function integerRule(fallback: number, min: number, max: number, what: string): OptionRule<number> {
  return {
    expects: max === Number.MAX_SAFE_INTEGER ? `${what}, at least ${min}` : `${what} from ${min} to ${max}`,
    accepts: (value) => Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max,
    fallback,
  };
}

function isOptionsObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function hasMethods(value: unknown, methods: readonly string[]): boolean {
  if (typeof value !== 'object' && typeof value !== 'function') return false;
  if (value === null) return false;
  return methods.every((method) => typeof (value as Record<string, unknown>)[method] === 'function');
}

/** Never the value itself, unless it is a number: an option may be a password. */
function describe(value: unknown): string {
  if (typeof value === 'number') return String(value);
  if (value === null) return 'null';
  if (value === '') return 'empty text';
  if (Array.isArray(value)) return 'an array';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}
