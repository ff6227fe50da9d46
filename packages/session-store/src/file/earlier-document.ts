import { isPlainObject } from '../json-value.ts';
import type { Lifetimes } from '../session-driver.ts';
import type { TableEntry } from '../table/session-table.ts';
import { corrupt, readFields } from './session-document.ts';

const LARGEST_SKEW_MS = 86_400_000;

type Values = Readonly<Record<string, unknown>>;

/**
 * Sessions of files that earlier programs wrote: a bare list of sessions, or `{ sessions, credentials }`; with `identity`
 * for `userId`, and `active` for `status`. Nothing that was stored is left out: what cannot be understood is an error.
 *
 * @throws SessionStoreError `corrupt`
 */
export function earlierEntries(document: unknown, lifetimes: Lifetimes, changedAt: number): TableEntry[] {
  if (Array.isArray(document)) return document.map((value) => readEarlier(value, {}, lifetimes, changedAt));
  if (!isPlainObject(document) || !Array.isArray(document.sessions)) throw corrupt('it has no list of sessions');
  const credentials = readCredentials(document.credentials);
  return (document.sessions as unknown[]).map((value) => {
    const found = isPlainObject(value) ? credentials.find((entry) => entry.belongsTo(value)) : undefined;
    return readEarlier(value, found?.values ?? {}, lifetimes, changedAt);
  });
}

type EarlierCredentials = { readonly values: Values; readonly belongsTo: (session: Values) => boolean };

/** A list of objects with ids, or an object by session id or by both ids. */
function readCredentials(given: unknown): EarlierCredentials[] {
  if (given === undefined || given === null) return [];
  if (!isPlainObject(given) && !Array.isArray(given)) throw corrupt('its credentials are of an unknown form');
  return Object.entries(given).map(([name, values]) => {
    if (!isPlainObject(values)) throw corrupt('its credentials are of an unknown form');
    const byName = values.sessionId === undefined;
    if (byName && Array.isArray(given)) throw corrupt('it holds credentials without a session');
    const user = userOf(values);
    const belongsTo = (session: Values): boolean =>
      byName
        ? name === session.sessionId || name === `${String(userOf(session))}:${String(session.sessionId)}`
        : values.sessionId === session.sessionId && (user === undefined || user === userOf(session));
    return { values, belongsTo };
  });
}

function readEarlier(value: unknown, credentials: Values, lifetimes: Lifetimes, changedAt: number): TableEntry {
  if (!isPlainObject(value)) throw corrupt('it holds a session that is not an object');
  const userId = userOf(value);
  const { sessionId } = value;
  if (typeof userId !== 'string' || userId === '' || typeof sessionId !== 'string' || sessionId === '') {
    throw corrupt('it holds a session without ids');
  }
  const createdAt = past(value.createdAt, changedAt) ?? changedAt;
  const status = statusOf(value);
  const transportType = value.transportType === 'streamable_http' ? 'streamable-http' : value.transportType;
  const record: TableEntry['record'] = {
    userId,
    sessionId,
    status,
    createdAt,
    // They did not say when a session was used last: the file is the best witness, and errs on the side of keeping.
    updatedAt: past(value.updatedAt, changedAt) ?? Math.max(createdAt, changedAt),
    pendingSince: status === 'pending' ? createdAt : undefined,
    pendingUntil: Math.min(
      moment(value.expiresAt) ?? createdAt + lifetimes.pendingMs,
      createdAt + lifetimes.maxPendingMs,
    ),
    version: createdAt * 1_000,
    fields: readFields({ ...value, ...credentials, transportType }),
  };
  return { record, lease: undefined };
}

function userOf(values: Values): unknown {
  return values.userId ?? values.identity;
}

/** A file that knows neither field is older than pending sessions. */
function statusOf({ status, active }: Values): 'pending' | 'active' {
  if (status === 'pending' || status === 'active') return status;
  return active === false ? 'pending' : 'active';
}

/** What is much younger than the file was counted in other units, or by a wrong clock; our numbers could not hold it. */
function past(value: unknown, changedAt: number): number | undefined {
  const ms = moment(value);
  return ms === undefined || ms <= changedAt + LARGEST_SKEW_MS ? ms : changedAt;
}

function moment(value: unknown): number | undefined {
  const ms = typeof value === 'string' ? Date.parse(value) : value;
  return typeof ms === 'number' && Number.isFinite(ms) ? Math.max(0, Math.round(ms)) : undefined;
}
