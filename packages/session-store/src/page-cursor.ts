import { fromBase64Url, toBase64Url } from './base64url.ts';
import type { PageRequest } from './session-driver.ts';
import { invalid } from './session-errors.ts';

type Position = NonNullable<PageRequest['after']>;

/** Where the next page begins: after this session. */
export function encodeCursor({ createdAt, sessionId }: Position): string {
  return toBase64Url(new TextEncoder().encode(JSON.stringify([createdAt, sessionId])));
}

/** @throws SessionStoreError `validation` */
export function decodeCursor(cursor: unknown): Position {
  const parts = typeof cursor === 'string' ? parse(cursor) : undefined;
  if (Array.isArray(parts) && parts.length === 2) {
    const [createdAt, sessionId] = parts as [unknown, unknown];
    if (isMoment(createdAt) && typeof sessionId === 'string' && isStorable(sessionId)) {
      return { createdAt, sessionId };
    }
  }
  throw invalid('Invalid cursor');
}

function parse(cursor: string): unknown {
  const bytes = fromBase64Url(cursor);
  if (bytes === undefined) return undefined;
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    // Not one of ours: the caller is told so.
    return undefined;
  }
}

/** No session is from before 1970, and no database knows all moments before. */
function isMoment(createdAt: unknown): createdAt is number {
  return Number.isSafeInteger(createdAt) && (createdAt as number) >= 0;
}

/** Someone may have made the cursor: what it holds goes to the backend. */
function isStorable(sessionId: string): boolean {
  return sessionId !== '' && sessionId.length <= 128 && sessionId.isWellFormed() && !sessionId.includes('\0');
}
