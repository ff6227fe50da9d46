import { SessionError } from '@tmcp/session-manager';

/**
 * The errors of the driver in the words of the session managers. Messages can reach remote clients: hosts, users and
 * the driver's text stand in `cause` alone.
 */
export function toSessionError(error: unknown): SessionError {
  if (SessionError.is(error)) return error;
  const text = error instanceof Error ? error.message : '';
  const [, code, message] = ANSWERS.find(([pattern]) => pattern.test(text)) ?? UNREACHABLE;
  withoutArguments(error);
  return new SessionError(code, message, { cause: error });
}

/** The driver notes the command that failed, with its arguments: payloads, and when it logs in the password. */
function withoutArguments(error: unknown): void {
  const { command } = (error ?? {}) as { command?: { args?: unknown } };
  if (command) delete command.args;
}

export function timeoutError(milliseconds: number): SessionError {
  return new SessionError('timeout', `Redis did not answer within ${milliseconds} ms`);
}

type Answer = readonly [pattern: RegExp, code: 'unavailable' | 'refused' | 'timeout', message: string];

const UNREACHABLE: Answer = [
  /(?:)/,
  'unavailable',
  'Redis cannot be reached; check "url" or "client", and that the server runs',
];

/** By the word that an answer of Redis begins with. */
const ANSWERS: readonly Answer[] = [
  [/^(?:.*-)?OOM |OOM command not allowed/, 'unavailable', 'Redis has no memory left; raise its "maxmemory"'],
  [/NOAUTH|WRONGPASS|invalid username-password/, 'refused', 'Redis refused the login; check user and password'],
  [
    /NOPERM|user executing the script can't|ACL failure in script/,
    'refused',
    'the Redis user may not use a command, key or channel of the session managers; the README lists what it needs',
  ],
  [/DB index is out of range/, 'refused', 'Redis has no database of this number; check the end of "url"'],
  [/READONLY/, 'unavailable', 'Redis is read-only here: it is a replica; connect to the master, or through Sentinel'],
  [/^(?:LOADING|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|BUSY|UNBLOCKED)/, 'unavailable', 'Redis is not ready'],
  [/MISCONF/, 'unavailable', 'Redis refuses writes because it cannot save to its disk'],
  [/Command timed out|Socket timeout/, 'timeout', 'Redis did not answer in time'],
  [/unknown command|ERR (?:unknown|wrong number)/, 'refused', 'Redis 6.2, Valkey 7.2 or newer is needed'],
  [/^(?:ERR|WRONGTYPE|NOSCRIPT)/, 'refused', 'Redis refused a command of the session managers'],
];
