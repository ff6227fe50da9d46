import { unstorable } from './text.ts';

/** Deeper than any token answer or metadata of a server; a value that contains itself ends here too. */
const DEEPEST = 64;

/**
 * Why a value would not come back from JSON as it was given, or `undefined`. `undefined` as a property is let through:
 * it means "not there", as in `{ refresh_token: undefined }`.
 */
export function notJson(value: unknown, depth = 0): string | undefined {
  if (depth > DEEPEST) return `must not be nested deeper than ${DEEPEST} levels`;
  if (typeof value === 'string') return unstorable(value);
  if (typeof value === 'number') return Number.isFinite(value) ? undefined : 'must not contain NaN or Infinity';
  if (typeof value === 'boolean' || value === null) return undefined;
  if (typeof value !== 'object') return `must not contain a value of type ${typeof value}`;
  if (Array.isArray(value)) {
    // Not `for … of Object.values`: that would step over holes, which JSON turns into null.
    for (let at = 0; at < value.length; at += 1) {
      const reason = notJson(value[at], depth + 1);
      if (reason !== undefined) return reason;
    }
    return undefined;
  }
  return notJsonObject(value, depth);
}

function notJsonObject(value: object, depth: number): string | undefined {
  if (!isPlainObject(value)) return 'must contain plain objects only';
  for (const [key, inner] of Object.entries(value)) {
    const reason = unstorable(key) ?? (inner === undefined ? undefined : notJson(inner, depth + 1));
    if (reason !== undefined) return reason;
  }
  // A method of that name would change what is written.
  return typeof (value as { toJSON?: unknown }).toJSON === 'function' ? 'must contain plain objects only' : undefined;
}

/** An object literal, of whatever realm, or one without prototype. */
export function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === null || prototype === Object.prototype) return true;
  return Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype as object, 'isPrototypeOf');
}
