import { isPlainObject, notJson } from './json-value.ts';
import type { Session } from './session.ts';
import type { FieldName } from './session-driver.ts';
import { invalid, invalidField } from './session-errors.ts';
import { unstorable } from './text.ts';

type FieldRule = {
  /** Cannot be left out, nor cleared. */
  readonly required?: true;
  /** Returned only on request. */
  readonly credential?: true;
  readonly encrypted?: true;
  /** Why the value is refused, or `undefined`. */
  readonly check: (value: unknown) => string | undefined;
};

/** Drivers that keep bare text beside envelopes could not tell it from one. */
const LIKE_ENVELOPE = /^(?:mcpenc|enc):/;

function text(value: unknown): string | undefined {
  if (typeof value !== 'string') return 'must be text';
  return unstorable(value) ?? (LIKE_ENVELOPE.test(value) ? 'must not look like an encrypted value' : undefined);
}

function filledText(value: unknown): string | undefined {
  return text(value) ?? (value === '' ? 'must not be empty' : undefined);
}

function json(value: unknown): string | undefined {
  return isPlainObject(value) ? notJson(value) : 'must be an object';
}

function transportType(value: unknown): string | undefined {
  return normaliseTransport(value) === undefined ? "must be 'sse' or 'streamable-http'" : undefined;
}

function headers(value: unknown): string | undefined {
  const reason = json(value);
  if (reason !== undefined) return reason;
  const texts = Object.values(value as object).every((header) => typeof header === 'string' || header === undefined);
  return texts ? undefined : 'must contain text only';
}

/**
 * Only what we read ourselves is held against its type: a refresh token that is spent cannot be asked for again, so an
 * answer without `token_type` is kept as it is.
 */
function tokens(value: unknown): string | undefined {
  const reason = json(value);
  if (reason !== undefined) return reason;
  const { access_token: access, refresh_token: refresh } = value as Record<string, unknown>;
  if (typeof access !== 'string' || access === '') return 'must have an access_token';
  return refresh === undefined || typeof refresh === 'string' ? undefined : 'must have a refresh_token of type text';
}

function oauthState(value: unknown): string | undefined {
  const reason = json(value);
  if (reason !== undefined) return reason;
  const { nonce, createdAt } = value as Record<string, unknown>;
  if (typeof nonce !== 'string' || nonce === '') return 'must have a nonce';
  return moment(createdAt) === undefined ? undefined : `createdAt ${moment(createdAt)}`;
}

/** How every stored field is treated. In this order they are written. */
const RULES: Readonly<Record<FieldName, FieldRule>> = {
  serverId: { check: text },
  serverName: { check: text },
  serverUrl: { check: filledText, required: true },
  callbackUrl: { check: filledText, required: true },
  transportType: { check: transportType, required: true },
  headers: { check: headers, encrypted: true },
  authUrl: { check: text, encrypted: true },
  metadata: { check: json },
  clientInformation: { check: json, credential: true, encrypted: true },
  tokens: { check: tokens, credential: true, encrypted: true },
  codeVerifier: { check: text, credential: true, encrypted: true },
  clientId: { check: text, credential: true },
  oauthState: { check: oauthState, credential: true, encrypted: true },
};

export const FIELDS: readonly FieldName[] = Object.keys(RULES) as FieldName[];
export const CREDENTIAL_FIELDS: readonly FieldName[] = FIELDS.filter((name) => RULES[name].credential);
export const OPEN_FIELDS: readonly FieldName[] = FIELDS.filter((name) => !RULES[name].credential);
export const ENCRYPTED_FIELDS: readonly FieldName[] = FIELDS.filter((name) => RULES[name].encrypted);
const REQUIRED_FIELDS = FIELDS.filter((name) => RULES[name].required);

/** Properties of a session that are not fields. What the store decides by itself is ignored when it is given. */
const OTHER_PROPERTIES: ReadonlySet<string> = new Set<Exclude<keyof Session, FieldName>>([
  'sessionId',
  'userId',
  'status',
  'createdAt',
  'updatedAt',
  'expiresAt',
  'version',
]);

export function isEncrypted(name: FieldName): boolean {
  return RULES[name].encrypted === true;
}

const OBJECTS: ReadonlySet<FieldName> = new Set<FieldName>([
  'headers',
  'metadata',
  'clientInformation',
  'tokens',
  'oauthState',
]);

/** Whether a value that was stored can be one of this field. Others than we may have written it, hence no more than this. */
export function hasForm(name: FieldName, value: unknown): boolean {
  return value === null || (OBJECTS.has(name) ? typeof value === 'object' : typeof value === 'string');
}

export type FieldChanges = {
  /** JSON texts. */
  readonly set: Readonly<Partial<Record<FieldName, string>>>;
  readonly unset: readonly FieldName[];
};

/**
 * What is to be stored and what is to be cleared: `undefined` leaves a field, `null` clears it.
 *
 * @param known the fields that may be given
 * @throws SessionStoreError `validation`
 */
export function encodeFields(data: unknown, known: readonly FieldName[] = FIELDS): FieldChanges {
  if (typeof data !== 'object' || data === null) throw invalid('Session data must be an object');
  const allowed: ReadonlySet<string> = new Set(known);
  for (const name of Object.keys(data)) {
    if (allowed.has(name) || (known === FIELDS && OTHER_PROPERTIES.has(name))) continue;
    throw invalid(`Unknown session field ${name.slice(0, 64)}`);
  }
  const values = data as Readonly<Partial<Record<FieldName, unknown>>>;
  const set: Partial<Record<FieldName, string>> = {};
  const unset: FieldName[] = [];
  for (const name of known) {
    const value = values[name];
    if (value === undefined) continue;
    if (value === null && !RULES[name].required) {
      unset.push(name);
      continue;
    }
    const reason = value === null ? 'cannot be cleared' : RULES[name].check(value);
    if (reason !== undefined) throw invalidField(name, reason);
    set[name] = JSON.stringify(name === 'transportType' ? normaliseTransport(value) : value);
  }
  return { set, unset };
}

/** @throws SessionStoreError `validation` when a field is missing that no session can do without */
export function assertComplete(fields: FieldChanges['set']): void {
  const missing = REQUIRED_FIELDS.find((name) => fields[name] === undefined);
  if (missing !== undefined) throw invalidField(missing, 'is required');
}

/** @throws SessionStoreError `validation` */
export function assertStatus(status: unknown): void {
  if (status === undefined || status === 'pending' || status === 'active') return;
  throw invalidField('status', "must be 'pending' or 'active'");
}

/** @throws SessionStoreError `validation` */
export function assertMoment(field: string, value: unknown): void {
  const reason = moment(value);
  if (reason !== undefined) throw invalidField(field, reason);
}

function moment(value: unknown): string | undefined {
  // What a Date can hold: backends that store dates cannot hold more.
  const valid = Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= 8.64e15;
  return valid ? undefined : 'must be a whole number of milliseconds since 1970';
}

function normaliseTransport(value: unknown): 'sse' | 'streamable-http' | undefined {
  if (value === 'sse') return 'sse';
  return value === 'streamable-http' || value === 'streamable_http' ? 'streamable-http' : undefined;
}
