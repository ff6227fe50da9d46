import { SessionError } from './errors.ts';
import { isPlainText, isTextOfSize } from './text.ts';

/** A session id is at most this long, in UTF-8 bytes. */
export const MAX_SESSION_ID_BYTES = 1024;

/** A resource URI is at most this long, in UTF-8 bytes. */
export const MAX_URI_BYTES = 65_536;

/**
 * Session ids come from the client, whatever header it sends: they are opaque data, never names. What is refused is
 * what a store could not keep apart or hand back unchanged: a lone surrogate becomes U+FFFD on the way, so that two
 * such ids would meet, and NUL ends a text in PostgreSQL.
 *
 * @throws SessionError `invalid-id` unless the id is well-formed text of 1 to 1,024 UTF-8 bytes without control characters
 */
export function assertSessionId(id: string): void {
  if (typeof id !== 'string' || !isPlainText(id, MAX_SESSION_ID_BYTES)) {
    throw new SessionError(
      'invalid-id',
      `a session id must be well-formed text of 1 to ${MAX_SESSION_ID_BYTES} bytes without control characters`,
    );
  }
}

/**
 * URIs of resources are data of the application and may hold anything a store can keep: only NUL is refused.
 *
 * @throws SessionError `invalid-id` unless the URI is well-formed text of 1 to 65,536 UTF-8 bytes without NUL
 */
export function assertResourceUri(uri: string): void {
  if (typeof uri !== 'string' || uri.includes('\0') || !isTextOfSize(uri, MAX_URI_BYTES)) {
    throw new SessionError(
      'invalid-id',
      `a resource URI must be well-formed text of 1 to ${MAX_URI_BYTES} bytes without NUL characters`,
    );
  }
}
