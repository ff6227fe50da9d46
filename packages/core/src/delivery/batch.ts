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

/** An operation of a batch; `largeId` when its payload is stored beside the log. */
export type BatchEntry = { readonly operation: Outgoing; readonly largeId: string | undefined };

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
  for (const { operation, largeId } of entries) {
    offset += 1;
    const item = JSON.stringify(itemOf(operation, largeId));
    const isInline = 'payload' in operation && largeId === undefined;
    // One byte for the comma; the opening bracket is the one that has no comma, the closing one is added in `cut`.
    const size = utf8Length(item) + 1 + (isInline ? operation.payloadBytes : 0);
    if (bytes + size + 1 > partBytes) cut();
    items.push(item);
    if (isInline) payloads.push(operation.payload);
    bytes += size;
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
