import { SessionError, type SessionErrorCode } from '@tmcp/session-manager';

/**
 * The errors of the driver in the words of the session managers. Messages can reach remote clients: hosts, roles and
 * the driver's text stand in `cause` alone.
 */
export function toSessionError(error: unknown): SessionError {
  if (SessionError.is(error)) return error;
  const state = sqlState(error);
  const [code, message] = state === undefined ? UNREACHABLE : isQueueFull(error) ? QUEUE_FULL : describe(state);
  return new SessionError(code, message, { cause: error });
}

/**
 * The same for content that was appended: what the server cannot store, it will refuse again. Class 54 is not among
 * it: a full notification queue is a limit as well, and passes.
 */
export function toAppendError(error: unknown): SessionError {
  const state = sqlState(error);
  if (state?.startsWith('22')) {
    return new SessionError('invalid-message', 'PostgreSQL cannot store this message: it is not valid text', {
      cause: error,
    });
  }
  return toSessionError(error);
}

export function timeoutError(milliseconds: number): SessionError {
  return new SessionError('timeout', `PostgreSQL did not answer within ${milliseconds} ms`);
}

/** SQLSTATE of an error, or of the driver error that it wraps. */
export function sqlState(error: unknown): string | undefined {
  return driverError(error)?.code;
}

/** What the server said. Codes of the operating system (`EPIPE`) look alike, but begin with other letters. */
function driverError(error: unknown): { readonly code: string; readonly file?: unknown } | undefined {
  for (let at = error, depth = 0; typeof at === 'object' && at !== null && depth < 4; depth += 1) {
    const { code, file, cause } = at as { code?: unknown; file?: unknown; cause?: unknown };
    if (typeof code === 'string' && /^[0-9FHPX][0-9A-Z]{4}$/.test(code)) return { code, file };
    at = cause;
  }
  return undefined;
}

/** The connection is as good as before: the server answered with an ordinary error. */
export function leavesConnectionUsable(error: unknown): boolean {
  const state = sqlState(error);
  return state !== undefined && !/^(08|25|57|58|F0|XX)/.test(state);
}

/** Two transactions met, and running one of them again is all it takes. */
export function isSerializationFailure(error: unknown): boolean {
  const state = sqlState(error);
  return state === '40001' || state === '40P01';
}

/** Tables, columns or functions are not there (any more). */
export function isSchemaMissing(error: unknown): boolean {
  return ['42P01', '42883', '42703', '3F000'].includes(sqlState(error) ?? '');
}

/** "Program limit exceeded" is also what PostgreSQL says when its queue of notifications is full. */
function isQueueFull(error: unknown): boolean {
  return driverError(error)?.file === 'async.c';
}

const UNREACHABLE: Described = [
  'unavailable',
  'PostgreSQL cannot be reached; check "connectionString" or "pool", and that the server runs',
];

const QUEUE_FULL: Described = [
  'unavailable',
  "PostgreSQL's queue of notifications is full: a connection that listens stands in a long transaction",
];

type Described = readonly [code: SessionErrorCode, message: string];

function describe(state: string): Described {
  if (['42P01', '42883', '42703', '3F000'].includes(state)) {
    return [
      'schema-missing',
      'tables or functions of the session managers are missing or outdated; leave "create" on, or apply the output ' +
        'of "npx tmcp-sessions-postgres sql" to the database',
    ];
  }
  if (state === '57014' || state === '55P03') return ['timeout', 'PostgreSQL did not answer in time'];
  if (state === '42501') {
    return [
      'refused',
      'the PostgreSQL role lacks a right on the tables of the session managers; grant it select, insert, update and ' +
        'delete on them',
    ];
  }
  if (state.startsWith('28')) return ['refused', 'PostgreSQL refused the login; check user and password'];
  if (state.startsWith('3D')) return ['refused', 'the database does not exist; check "connectionString"'];
  if (state === '25006' || state === '55000')
    return ['unavailable', 'PostgreSQL is read-only here; connect to the primary server'];
  if (state === '53300') return ['unavailable', 'PostgreSQL has no free connection; raise its "max_connections"'];
  if (/^(08|40|53|57|58|XX)/.test(state)) return UNREACHABLE;
  return ['refused', `PostgreSQL refused a statement (SQLSTATE ${state})`];
}
