import { waitFor } from '../wait-for.ts';
import type { Client } from './client.ts';
import type { Ledger, Message } from './ledger.ts';
import { isMessage } from './line.ts';

/** What must be empty, and what came again where promise 1 allows it. */
export type Verdict = {
  /** Accepted for a session after its first stream was open, and not received. */
  readonly lost: string[];
  readonly twice: string[];
  readonly disordered: string[];
  /** Received by whom it was not sent to, before the session began, damaged, or stored at two places. */
  readonly strange: string[];
  readonly repeated: Repeat[];
};

/** @property stream which of the client's streams brought it again, from 0 */
export type Repeat = { readonly session: string; readonly position: number; readonly stream: number };

export const CLEAN: Omit<Verdict, 'repeated'> = { lost: [], twice: [], disordered: [], strange: [] };

/**
 * The oracle: per session, over all its streams in the order in which they were opened, every accepted message once and in the
 * order of the log. Only a stream that `mayRepeat` may begin with messages that came before.
 *
 * @param until what was accepted later may still be on its way
 */
export function judge(ledger: Ledger, clients: readonly Client[], until: number = Number.POSITIVE_INFINITY): Verdict {
  const verdict: Verdict = { lost: [], twice: [], disordered: [], strange: [], repeated: [] };
  const messages = new Map(ledger.messages.map((message) => [message.label, message]));
  const places = new Map<string, string>();
  for (const client of clients) {
    judgeOrder(client, verdict, messages, places);
    for (const { label } of missing(ledger, client, until)) verdict.lost.push(`${client.session} ${label}`);
  }
  judgeSenders(ledger, verdict, places);
  return verdict;
}

/** Waits until everything that was accepted before the call has arrived, then judges. */
export async function settle(
  ledger: Ledger,
  clients: readonly Client[],
  { timeoutMs = 20_000 }: { timeoutMs?: number } = {},
): Promise<Verdict> {
  const until = ledger.now();
  const waiting = new Set(clients);
  const arrived = (): boolean => {
    for (const client of waiting) {
      if (missing(ledger, client, until).length > 0) return false;
      waiting.delete(client);
    }
    return true;
  };
  // What has not arrived by then is named by the verdict.
  await waitFor(arrived, { timeoutMs, intervalMs: 50 }).catch(() => undefined);
  return judge(ledger, clients, until);
}

/** What was accepted until a moment, must have reached a client by now, and has not. */
export function missing(ledger: Ledger, client: Client, until: number = Number.POSITIVE_INFINITY): Message[] {
  const since = client.connections.find(({ created }) => created !== undefined)?.created;
  if (since === undefined || client.retired !== undefined) return [];
  const received = new Set(client.labels);
  return ledger.messages.filter(
    (message) =>
      message.accepted !== undefined &&
      message.accepted <= until &&
      message.began > since &&
      isFor(message, client) &&
      !received.has(message.label),
  );
}

function judgeOrder(
  client: Client,
  verdict: Verdict,
  messages: ReadonlyMap<string, Message>,
  places: Map<string, string>,
): void {
  const { session } = client;
  const [first] = client.connections;
  const received = new Set<string>();
  let highest: Place | undefined;
  for (const [stream, { frames, mayRepeat }] of client.connections.entries()) {
    let before: Place | undefined;
    for (const frame of frames) {
      const { label, id = '' } = frame;
      const place = placeOf(id);
      if (!isMessage(frame)) continue;
      const message = messages.get(label);
      if (!message || !isFor(message, client) || (message.accepted ?? Infinity) < (first?.opened ?? 0)) {
        verdict.strange.push(`${session} ${label}`);
        continue;
      }
      if ((places.get(label) ?? id) !== id) verdict.strange.push(`${label} at ${places.get(label)} and ${id}`);
      places.set(label, id);
      if (isNotAbove(place, before)) verdict.disordered.push(`${session} ${label} at ${id}`);
      before = place;
      if (received.has(label)) {
        if (mayRepeat) verdict.repeated.push({ session, position: place.position, stream });
        else verdict.twice.push(`${session} ${label} at ${id}`);
      } else if (isNotAbove(place, highest)) {
        verdict.disordered.push(`${session} ${label} at ${id} after a later one`);
      }
      received.add(label);
      if (!isNotAbove(place, highest)) highest = place;
    }
  }
}

/** What was called after something else was accepted stands behind it. */
function judgeSenders(ledger: Ledger, verdict: Verdict, places: ReadonlyMap<string, string>): void {
  const last = new Map<string, Place>();
  for (const { label, sender, accepted } of ledger.messages) {
    const id = places.get(label);
    if (accepted === undefined || id === undefined) continue;
    const place = placeOf(id);
    if (isNotAbove(place, last.get(sender))) verdict.disordered.push(`${label} at ${id} was sent after a later one`);
    last.set(sender, place);
  }
}

function isFor({ to }: Message, { session }: Client): boolean {
  return to === undefined || to.includes(session);
}

type Place = { readonly epoch: string; readonly position: number };

function placeOf(id: string): Place {
  const [epoch = '', position = ''] = id.split('.');
  return { epoch, position: Number.parseInt(position, 36) };
}

/** Positions of different epochs cannot be compared. */
function isNotAbove(place: Place, other: Place | undefined): boolean {
  return other !== undefined && other.epoch === place.epoch && place.position <= other.position;
}
