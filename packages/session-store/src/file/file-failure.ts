import { SessionStoreError, type WriteOutcome } from '../errors.ts';
import { unavailable } from '../session-errors.ts';
import { codeOf } from './node-modules.ts';

/**
 * What the file system refused, with the path and its reason: nobody else knows which file a process uses that the
 * environment has set up.
 */
export function fileFailure(
  path: string,
  operation: string,
  outcome: WriteOutcome | undefined,
  error: unknown,
): SessionStoreError {
  if (SessionStoreError.is(error)) return error;
  const { message, cause } = unavailable('file', operation, { cause: error });
  const code = codeOf(error);
  const reason = code === undefined ? '' : ` (${code})`;
  return new SessionStoreError('unavailable', `${message} at ${path}${reason}`, { cause, outcome });
}
