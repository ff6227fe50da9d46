import { SessionStoreError, type WriteOutcome } from '../errors.ts';
import { COLUMNS, FIELD_NAMES } from './columns.ts';
import { type DriverFailure, readFailure, toCause } from './driver-failure.ts';
import { EXTEND, INSTALL, type TableNames } from './names.ts';

/** What was tried: for messages, and to say what a failure means. */
export type Operation = {
  readonly backend: string;
  /** Its public name. */
  readonly name: string;
  readonly right: 'select' | 'insert' | 'update' | 'delete';
  readonly names: TableNames;
};

/**
 * The errors of drivers in the words of the session store.
 *
 * @param elapsedMs since the operation began
 */
export function toStoreError(error: unknown, operation: Operation, elapsedMs: number): SessionStoreError {
  if (SessionStoreError.is(error)) return error;
  const failure = readFailure(error);
  const cause = toCause(failure, error);
  const isWrite = operation.right !== 'select';
  const outcome = isWrite ? { outcome: failureOutcome(failure) } : {};
  const [code, message] = describe(failure, error, operation, elapsedMs);
  return new SessionStoreError(code, message, { cause, ...outcome });
}

export function timeoutError(operation: Operation, milliseconds: number): SessionStoreError {
  const outcome = operation.right === 'select' ? {} : { outcome: 'unknown' as const };
  return new SessionStoreError('unavailable', timeoutMessage(operation, milliseconds), outcome);
}

function timeoutMessage({ backend, name }: Operation, milliseconds: number): string {
  return `Storage backend ${backend} is unavailable: ${name} timed out after ${milliseconds} ms`;
}

/** Two transactions met, and running one of them again is all it takes. */
export function isSerializationFailure(error: unknown): boolean {
  const { state } = readFailure(error);
  return state === '40001' || state === '40P01';
}

type Described = readonly [code: SessionStoreError['code'], message: string];

function describe(
  { state, httpStatus }: DriverFailure,
  error: unknown,
  operation: Operation,
  elapsedMs: number,
): Described {
  const { backend, name, names, right } = operation;
  const unavailable: Described = ['unavailable', `Storage backend ${backend} is unavailable: ${name} failed`];
  if (state === undefined)
    return httpStatus === 401 || httpStatus === 403 ? refused(backend, `HTTP status ${httpStatus}`) : unavailable;
  if (state === '42P01' || state === '3F000') {
    return ['schema', `Table ${names.shown} not found: run migration ${INSTALL}`];
  }
  if (state === '42703') return missingColumn(names, columnIn(error));
  if (state === '42P10') return missingUniqueKey(names);
  if (state === '42501') return ['schema', `The database role may not ${right} ${names.shown}`];
  if (state.startsWith('28') || state === '3D000') return refused(backend, `SQLSTATE ${state}`);
  // The server has a time of its own (`statement_timeout`), or somebody cancelled the statement.
  if (state === '57014') return ['unavailable', timeoutMessage(operation, Math.round(elapsedMs))];
  return unavailable;
}

const refused = (backend: string, said: string): Described => [
  'config',
  `The ${backend} backend was refused by the server (${said}): check user, password and database`,
];

export function missingColumn(names: TableNames, column: string): Described {
  return ['schema', `Column ${column} missing in ${names.shown}: run migration ${EXTEND}`];
}

export function missingUniqueKey(names: TableNames): Described {
  return ['schema', `Unique key (user_id, session_id) missing in ${names.shown}: run migration ${EXTEND}`];
}

const EXTENSION = ['version', 'pending_since', 'lock_token', 'lock_until', 'rekeyed_at'];

/** The server's text is in its own language, but the name of the column stands in it. */
function columnIn(error: unknown): string {
  const { message } = error as { message?: unknown };
  const words = typeof message === 'string' ? message.split(/[^a-z_]+/) : [];
  const known = [...EXTENSION, ...FIELD_NAMES.map((field) => COLUMNS[field].name)];
  return known.find((column) => words.includes(column)) ?? 'version';
}

/** Before a connection stands, nothing can have been applied. */
const NEVER_CONNECTED = new Set([
  ...['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'ECONNABORTED'],
  'UND_ERR_CONNECT_TIMEOUT',
]);

/**
 * An answer of the server means that the statement was rolled back, unless the connection broke (class 08, 57P01 and
 * 57P02) or the server itself does not know (40003). Requests that were refused (4xx) were not run.
 */
export function failureOutcome({ state, system, httpStatus }: DriverFailure): WriteOutcome {
  if (state !== undefined) return /^(08(?!001|004)|57P01|57P02|40003|XX)/.test(state) ? 'unknown' : 'not-applied';
  if (httpStatus !== undefined) return httpStatus >= 400 && httpStatus < 500 ? 'not-applied' : 'unknown';
  return system !== undefined && NEVER_CONNECTED.has(system) ? 'not-applied' : 'unknown';
}
