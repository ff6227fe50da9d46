import type { ControlOperation, PartDraft } from './backplane.ts';
import type { ControlItem, Receivers } from './entries.ts';
import { utf8Length } from './text.ts';

/** An operation on its way into the log. */
export type Outgoing = OutgoingPayload | OutgoingControl;
export type OutgoingPayload = {
  readonly to: Receivers;
  readonly payload: string;
  readonly payloadBytes: number;
  /** An equal one that waits for the first connection is sent once for both. */
  readonly mergeable?: boolean;
};
export type OutgoingControl = ControlItem;

/** An operation as a batch holds it. */
export type BatchEntry = {
  readonly operation: Outgoing;
  /** Set when the payload is stored beside the log. */
  readonly largeId: string | undefined;
  /** Its item in the head of a part. */
  readonly item: string;
  /** UTF-8 bytes of the item and of the payload beside it. */
  readonly entryBytes: number;
};

export function encodeEntry(operation: Outgoing, largeId: string | undefined): BatchEntry {
  const item = JSON.stringify(itemOf(operation, largeId));
  const isInline = 'payload' in operation && largeId === undefined;
  return { operation, largeId, item, entryBytes: utf8Length(item) + (isInline ? operation.payloadBytes : 0) };
}

/** Writes operations as parts of at most `partBytes`; an operation that is larger alone is a part of its own. */
export function encodeBatch(
  entries: readonly BatchEntry[],
  partBytes: number,
): { parts: readonly PartDraft[]; controls: readonly ControlOperation[] } {
  const parts: PartDraft[] = [];
  const controls: ControlOperation[] = [];
  let items: string[] = [];
  let payloads: string[] = [];
  let bytes = 0;
  const cut = (): void => {
    if (items.length === 0) return;
    parts.push({ count: items.length, head: `[${items.join(',')}]`, data: payloads.join(''), bytes: bytes + 1 });
    items = [];
    payloads = [];
    bytes = 0;
  };
  let offset = 0;
  for (const { operation, largeId, item, entryBytes } of entries) {
    offset += 1;
    // One byte for the comma; the opening bracket is the one that has no comma, the closing one is added in `cut`.
    if (bytes + entryBytes + 2 > partBytes) cut();
    items.push(item);
    if ('payload' in operation && largeId === undefined) payloads.push(operation.payload);
    bytes += entryBytes + 1;
    if ('k' in operation) controls.push(controlOf(operation, offset));
  }
  cut();
  return { parts, controls };
}

function itemOf(operation: Outgoing, largeId: string | undefined): unknown {
  if ('k' in operation) return operation;
  if (largeId !== undefined) return [operation.to, 0, [largeId, operation.payloadBytes]];
  return [operation.to, operation.payload.length];
}

function controlOf(item: ControlItem, offset: number): ControlOperation {
  switch (item.k) {
    case 'c':
      return { kind: 'claim', offset, session: item.s, claim: item.c };
    case 'r':
      return { kind: 'release', offset, session: item.s, claim: item.c, detach: item.d, sent: item.p };
    case 'e':
      return { kind: 'end', offset, session: item.s };
  }
}
