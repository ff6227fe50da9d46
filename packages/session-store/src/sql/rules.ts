import type { Lifetimes } from '../session-driver.ts';
import type { Parameters } from './statement.ts';

/** Alias of the table in every statement. */
const row = 's';

/**
 * Whether a session is there. For active ones the last change counts and not `expires_at`: it agrees with the cron jobs,
 * and with rows that others wrote. Judged by the clock of the server.
 */
export function live(p: Parameters, { dormantMs }: Lifetimes): string {
  return `case when ${row}.active then ${row}.updated_at > now() - ${p.interval(dormantMs)} else ${row}.expires_at > now() end`;
}

/** The row of a session, live or not. */
export function keyed(p: Parameters, key: { readonly userId: string; readonly sessionId: string }): string {
  return `${row}.user_id = ${p.text(key.userId)} and ${row}.session_id = ${p.text(key.sessionId)}`;
}

/** True when no version was asked for. */
export function versionIs(p: Parameters, ifVersion: number | undefined): string {
  return ifVersion === undefined ? 'true' : `${row}.version = ${p.bigint(ifVersion)}`;
}

/** Rows from before migration 2 do not say when they became pending. */
export const PENDING_SINCE: string = `coalesce(${row}.pending_since, ${row}.created_at)`;

/**
 * `expires_at` after a change or a touch: of a pending session as far as `maxPendingMs` allows, of an active one when
 * it would be dormant.
 *
 * @param status what it becomes; `undefined` leaves it
 */
export function newDeadline(p: Parameters, lifetimes: Lifetimes, status: 'pending' | 'active' | undefined): string {
  if (status === 'active') return whenActive(p, lifetimes);
  // What became pending just now has its full window, however old the session is.
  if (status === 'pending') {
    return whenPending(p, lifetimes, `case when ${row}.active then now() else ${PENDING_SINCE} end`);
  }
  return `case when ${row}.active then ${whenActive(p, lifetimes)} else ${whenPending(p, lifetimes, PENDING_SINCE)} end`;
}

function whenActive(p: Parameters, { dormantMs }: Lifetimes): string {
  return `now() + ${p.interval(dormantMs)}`;
}

function whenPending(p: Parameters, { pendingMs, maxPendingMs }: Lifetimes, since: string): string {
  return `least(now() + ${p.interval(pendingMs)}, ${since} + ${p.interval(maxPendingMs)})`;
}
