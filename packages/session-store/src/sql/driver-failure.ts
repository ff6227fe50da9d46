import { redactText } from '../redact.ts';

/**
 * What is known of an error of a driver, and may be shown. Its own text is left out where it can quote values of a
 * row, an answer or an address: servers quote whole rows, parsers what they could not parse, URL parsers the URL.
 */
export type DriverFailure = {
  /** SQLSTATE, where the server said something. */
  readonly state: string | undefined;
  /** Of the operating system or of `fetch`, for example `ECONNREFUSED`. */
  readonly system: string | undefined;
  /** Of an answer that came from between us and the server. */
  readonly httpStatus: number | undefined;
  /** What server or driver said, with no values in it; for us alone. */
  readonly text: string | undefined;
};

/** Reads an error, and those that it wraps: `cause`, and `sourceError` of Neon. */
export function readFailure(error: unknown): DriverFailure {
  let system: string | undefined;
  let httpStatus: number | undefined;
  for (const { code, message } of chain(error)) {
    // Names of the operating system look alike, but begin with other letters.
    if (typeof code === 'string' && /^[0-9FHPX][0-9A-Z]{4}$/.test(code)) {
      return { state: code, system: undefined, httpStatus: undefined, text: serverText(code, message) };
    }
    if (typeof code === 'string' && /^[A-Z][A-Z0-9_]{2,40}$/.test(code)) system = code;
    const status = typeof message === 'string' ? /\(HTTP status (\d{3})\)/.exec(message)?.[1] : undefined;
    if (status !== undefined) httpStatus = Number(status);
  }
  const message = error instanceof Error && WORDS_OF_PG.test(error.message) ? redactText(error.message) : undefined;
  return { state: undefined, system, httpStatus, text: message };
}

function* chain(error: unknown): Generator<{ code?: unknown; message?: unknown }> {
  const waiting: unknown[] = [error];
  for (let seen = 0; waiting.length > 0 && seen < 16; seen += 1) {
    const at = waiting.shift();
    if (typeof at !== 'object' || at === null) continue;
    const { code, message, cause, sourceError, errors } = at as Record<string, unknown>;
    yield { code, message };
    waiting.push(cause, sourceError, ...(Array.isArray(errors) ? errors : []));
  }
}

/** Classes whose text names our tables and columns, or roles, and no value: syntax and rights, logins, resources. */
const HARMLESS_CLASSES = /^(08|25|28|3D|3F|40|42|53|55|57|58)/;

/** What `pg` says by itself, with no code, when a connection does not come about or breaks. */
const WORDS_OF_PG = new RegExp(
  `^(${[
    'The server does not support SSL connections',
    'There was an error establishing an SSL connection',
    'Connection terminated',
    'timeout exceeded when trying to connect',
    'Cannot use a pool after calling end on the pool',
    'Client was closed and is not queryable',
    'Client has encountered a connection error and is not queryable',
    'SASL: SCRAM-SERVER-FIRST-MESSAGE: client password must be',
  ].join('|')})`,
);

function serverText(state: string, message: unknown): string | undefined {
  if (typeof message !== 'string' || !HARMLESS_CLASSES.test(state)) return undefined;
  return redactText(message);
}

/** The `cause` of our errors: a new error, so that nothing hangs on it that the driver put there. */
export function toCause({ state, system, httpStatus, text }: DriverFailure, error: unknown): Error {
  const said = text === undefined ? '' : `: ${text}`;
  const what =
    state !== undefined
      ? `SQLSTATE ${state}${said}`
      : httpStatus !== undefined
        ? `HTTP status ${httpStatus}`
        : (system ?? text ?? 'no further information');
  const cause = new Error(`${kindOf(error)}: ${what}`);
  const code = state ?? system;
  return code === undefined ? cause : Object.assign(cause, { code });
}

function kindOf(error: unknown): string {
  const name = error instanceof Error ? error.name : '';
  return /^[A-Za-z]{1,40}$/.test(name) ? name : 'Error';
}
