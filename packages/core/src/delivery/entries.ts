import type { Part } from './backplane.ts';

/**
 * How operations are written. A part is a JSON array with one item per operation (`head`) and the payloads behind
 * each other (`data`). A node that holds no receiver reads only the short head and never touches a payload; a store
 * finds what concerns a session by searching the head for its id, or for `[0,`.
 *
 * - `["id", length]`, `[["id", "id"], length]`: a frame for these sessions; `[0, length]`: for every session
 * - `[1, length]`: a notification for the subscription managers
 * - `[…, 0, ["large id", bytes]]`: the same, but the payload is stored beside the log
 * - `{ k: "c", s, c, n }`: node n claims session s; `{ k: "r", s, c, d, p }`: the claim is released, the next stream
 *   starts after d, and an event id not below p misses nothing; `{ k: "e", s }`: the session ended
 *
 * `length` counts UTF-16 units, which is what a decoded string is cut by.
 */
export type Item = PayloadItem | ControlItem;
export type Receivers = string | readonly string[] | typeof EVERYONE | typeof SUBSCRIPTIONS;
export type PayloadItem = readonly [to: Receivers, length: number, large?: LargeReference];
export type LargeReference = readonly [id: string, bytes: number];
export type ControlItem =
  | { readonly k: 'c'; readonly s: string; readonly c: string; readonly n: string }
  | { readonly k: 'r'; readonly s: string; readonly c: string; readonly d: number; readonly p: number }
  | { readonly k: 'e'; readonly s: string };

export const EVERYONE = 0;
export const SUBSCRIPTIONS = 1;

/** A part whose head has been parsed. */
export type Entries = {
  /** Position before the first operation. */
  readonly base: number;
  /** Position of the last operation. */
  readonly last: number;
  readonly items: readonly Item[];
  readonly data: string;
};

export function decodePart(part: Part): Entries {
  const items = JSON.parse(part.head) as Item[];
  if (items.length !== part.count) throw new Error(`a part of ${part.count} operations names ${items.length}`);
  return { base: part.last - part.count, last: part.last, items, data: part.data };
}

/** Whether an item is a payload, rather than a control operation. */
export function isPayload(item: Item): item is PayloadItem {
  return Array.isArray(item);
}
