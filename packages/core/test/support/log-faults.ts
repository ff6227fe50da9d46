import { type Item, isPayload, type PayloadItem } from '../../src/delivery/entries.ts';
import { randomId } from '../../src/delivery/text.ts';
import type { InProcessLog } from '../../src/in-memory/in-process-log.ts';

/** What happens to stores: each of these makes a promise unprovable, and has to be reported for it. */

export type LogCopy = () => void;

/** Keeps a copy of the whole store. Calling it sets the store back: same epoch, positions given out again. */
export function copyOf(log: InProcessLog): LogCopy {
  const { epoch, head, trimmed, bytes } = log;
  const parts = [...log.parts];
  const [claims, nodes, producers, large] = [log.claims, log.nodes, log.producers, log.large].map((map) =>
    structuredClone([...map]),
  );
  return () => {
    Object.assign(log, { epoch, head, trimmed, bytes });
    log.parts.splice(0, log.parts.length, ...parts);
    refill(log.claims, claims);
    refill(log.nodes, nodes);
    refill(log.producers, producers);
    refill(log.large, large);
  };
}

/** The store is empty, as on a new server. */
export function wipe(log: InProcessLog): void {
  Object.assign(log, { epoch: randomId(8), head: 0, trimmed: 0, bytes: 0 });
  log.parts.splice(0);
  for (const map of [log.claims, log.nodes, log.producers, log.large]) map.clear();
}

/** Drops the parts up to a position, whoever has read them or not. */
export function truncate(log: InProcessLog, upTo: number): void {
  let drop = 0;
  for (const { last, bytes } of log.parts) {
    if (last > upTo) break;
    log.bytes -= bytes;
    log.trimmed = last;
    drop += 1;
  }
  log.parts.splice(0, drop);
}

/** What another node does to one that was silent for a whole resume window. */
export function cleanUpAfter(log: InProcessLog, node: string): void {
  log.nodes.delete(node);
  for (const [session, claim] of log.claims) if (claim.node === node) log.claims.delete(session);
}

export type HistoryEntry = {
  readonly epoch: string;
  readonly position: number;
  readonly node: string;
  readonly item: Item;
  /** The frame, for payloads. */
  readonly text: string | undefined;
  readonly time: number;
  /** When the store was set back to before it. */
  lostAt?: number;
};

/** Remembers everything that was ever stored, whatever becomes of the store. */
export function recordHistory(log: InProcessLog): HistoryEntry[] {
  const history: HistoryEntry[] = [];
  const append = log.append.bind(log);
  log.append = (batch) => {
    const result = append(batch);
    for (const { epoch, last, count, head, data } of result.stored) {
      let position = last - count;
      let offset = 0;
      for (const item of JSON.parse(head) as Item[]) {
        position += 1;
        const text = isPayload(item) ? payloadOf(log, item, data, offset) : undefined;
        if (isPayload(item)) offset += item[1];
        history.push({ epoch, position, node: batch.node, item, text, time: performance.now() });
      }
    }
    return result;
  };
  return history;
}

function payloadOf(log: InProcessLog, [, length, large]: PayloadItem, data: string, offset: number): string {
  return large ? (log.large.get(large[0])?.payload ?? '') : data.slice(offset, offset + length);
}

function refill(map: Map<string, unknown>, entries: readonly (readonly [string, unknown])[] | undefined): void {
  map.clear();
  for (const [key, value] of structuredClone(entries ?? [])) map.set(key, value);
}
