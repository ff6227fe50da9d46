import { fromBase64Url, toBase64Url } from '../base64url.ts';
import type { SessionKey } from '../session-driver.ts';

const encoder = new TextEncoder();
// A key that is not UTF-8 inside was not made by us.
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** What a key of ours is for. */
export type ParsedKey =
  | (SessionKey & { readonly kind: 'record' | 'lease' })
  | { readonly kind: 'index'; readonly userId: string };

const KINDS = { s: 'record', l: 'lease' } as const;

/**
 * Names of the keys: `mcp:{user}:s:session`, `mcp:{user}:idx`, `mcp:{user}:l:session`, ids in base64url, which has none
 * of the characters that mean something in a key, a pattern or a hash tag. All keys of a user share the slot of its tag.
 */
export class RedisKeys {
  readonly #prefix: string;
  /** ioredis puts its `keyPrefix` in front of keys, but not of patterns, and does not take it off what `SCAN` finds. */
  readonly #clientPrefix: string;
  readonly #parser: RegExp = /^\{([A-Za-z0-9_-]+)\}:(?:idx|([sl]):([A-Za-z0-9_-]+))$/;

  constructor(prefix: string, clientPrefix: string) {
    this.#prefix = prefix;
    this.#clientPrefix = clientPrefix;
  }

  record({ userId, sessionId }: SessionKey): string {
    return `${this.#of(userId)}s:${encode(sessionId)}`;
  }

  lease({ userId, sessionId }: SessionKey): string {
    return `${this.#of(userId)}l:${encode(sessionId)}`;
  }

  index(userId: string): string {
    return `${this.#of(userId)}idx`;
  }

  /** For `SCAN`: records only, or everything that is ours. */
  pattern(of: 'records' | 'all'): string {
    const literal = `${this.#clientPrefix}${this.#prefix}`.replace(/[*?[\]\\^-]/g, '\\$&');
    return `${literal}{*}:${of === 'records' ? 's:*' : '*'}`;
  }

  /** @returns `undefined` for a key that is not ours */
  parse(found: string): ParsedKey | undefined {
    const start = `${this.#clientPrefix}${this.#prefix}`;
    if (!found.startsWith(start)) return undefined;
    const match = this.#parser.exec(found.slice(start.length));
    const userId = decode(match?.[1]);
    if (match === null || userId === undefined) return undefined;
    const letter = match[2];
    if (letter !== 's' && letter !== 'l') return { kind: 'index', userId };
    const sessionId = decode(match[3]);
    return sessionId === undefined ? undefined : { kind: KINDS[letter], userId, sessionId };
  }

  #of(userId: string): string {
    return `${this.#prefix}{${encode(userId)}}:`;
  }
}

function encode(id: string): string {
  return toBase64Url(encoder.encode(id));
}

function decode(text: string | undefined): string | undefined {
  const bytes = text === undefined ? undefined : fromBase64Url(text);
  if (bytes === undefined) return undefined;
  try {
    return decoder.decode(bytes);
  } catch {
    return undefined;
  }
}
