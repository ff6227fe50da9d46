import type {
  AppendAnswer,
  Batch,
  ClaimAnswer,
  ControlOperation,
  MaintenanceAnswer,
  MaintenanceRequest,
  Part,
  SilentNode,
} from '../delivery/backplane.ts';
import { LOST } from '../delivery/backplane.ts';
import { randomId } from '../delivery/text.ts';

type StoredPart = Part & { readonly bytes: number; readonly storedAt: number };

type Claim = {
  readonly claim: string;
  readonly node: string;
  readonly floor: number;
  readonly at: number;
  /** The claim that was held until then: its release says where this stream has to start. */
  readonly prior: string | undefined;
  from: number | undefined;
  detach: number | undefined;
  sent: number | undefined;
  changedAt: number;
};

type Producer = {
  node: string;
  number: number;
  last: number;
  claims: readonly ClaimAnswer[];
  /** It had acknowledged batches that were not there any more: said again to whoever missed the first answer. */
  gap: boolean;
  usedAt: number;
};

type NodeRow = { beatAt: number; beats: number; cursor: number };

/**
 * One namespace's log, claims and beats in memory, with the rules that every backend follows: this is the reference
 * that the others are compared with. All operations are synchronous, so each is a transaction.
 */
export class InProcessLog {
  #epoch: string | undefined;
  head = 0;
  trimmed = 0;
  readonly parts: StoredPart[] = [];
  readonly claims: Map<string, Claim> = new Map();
  readonly nodes: Map<string, NodeRow> = new Map();
  readonly producers: Map<string, Producer> = new Map();
  /** Payloads beside the log, oldest first. */
  readonly large: Map<string, { payload: string; storedAt: number }> = new Map();
  bytes = 0;

  get epoch(): string {
    this.#epoch ??= randomId(8);
    return this.#epoch;
  }

  set epoch(epoch: string) {
    this.#epoch = epoch;
  }

  /** @returns the answer, and the parts that were stored now */
  append(batch: Batch): { answer: AppendAnswer; stored: readonly Part[] } {
    if (batch.epoch !== this.epoch) return { answer: { state: 'epoch' }, stored: [] };
    const had = this.producers.get(batch.producer);
    if (had && had.number >= batch.number) {
      return { answer: { state: 'stored', last: had.last, claims: had.claims, gap: had.gap }, stored: [] };
    }
    const base = this.head;
    const stored = batch.parts.map((draft, index): StoredPart => {
      this.head += draft.count;
      this.bytes += draft.bytes;
      return {
        epoch: this.epoch,
        last: this.head,
        count: draft.count,
        token: `${batch.producer}:${batch.number}:${index}`,
        head: draft.head,
        data: draft.data,
        bytes: draft.bytes,
        storedAt: performance.now(),
      };
    });
    this.parts.push(...stored);
    const claims = batch.controls.flatMap((operation) => this.#apply(operation, base, batch.node) ?? []);
    const gap = (had?.number ?? 0) < batch.acknowledged;
    this.producers.set(batch.producer, {
      node: batch.node,
      number: batch.number,
      last: this.head,
      claims,
      gap,
      usedAt: performance.now(),
    });
    return { answer: { state: 'stored', last: this.head, claims, gap }, stored };
  }

  #apply(operation: ControlOperation, base: number, node: string): ClaimAnswer | undefined {
    const { session } = operation;
    const old = this.claims.get(session);
    if (operation.kind === 'end') {
      this.claims.delete(session);
    } else if (operation.kind === 'release') {
      // What is lost stays lost: a release that was written for an earlier epoch proves nothing about this one.
      if (old?.claim === operation.claim && old.detach !== LOST) release(old, operation.detach, operation.sent);
      else if (old?.prior === operation.claim) old.from = operation.detach === LOST ? undefined : operation.detach;
      else if (!old && operation.detach === LOST) this.#rememberLost(operation, base + operation.offset, node);
    } else {
      const at = base + operation.offset;
      const cursor = old && this.nodes.get(old.node)?.cursor;
      const floor = old && old.detach !== LOST ? old.floor : at;
      this.claims.set(session, {
        claim: operation.claim,
        node,
        at,
        floor,
        prior: old?.detach === undefined ? old?.claim : undefined,
        from: earliestStartOf(old, cursor, at),
        detach: undefined,
        sent: undefined,
        changedAt: performance.now(),
      });
      const previous = old && {
        claim: old.claim,
        node: old.node,
        at: old.at,
        from: old.from,
        detach: old.detach,
        sent: old.sent,
        cursor,
      };
      return { session, claim: operation.claim, at, floor, previous };
    }
    return undefined;
  }

  /** A stream of a life of the log that this one knows nothing of. */
  #rememberLost({ session, claim }: { session: string; claim: string }, at: number, node: string): void {
    const changedAt = performance.now();
    const nothing = { prior: undefined, from: undefined, detach: LOST, sent: LOST };
    this.claims.set(session, { claim, node, at, floor: at, ...nothing, changedAt });
  }

  /** Parts above a position: about 1 MiB, at least one. */
  page(after: number): Part[] {
    const first = this.#indexAfter(after);
    let bytes = 0;
    let end = first;
    while (end < this.parts.length && (end === first || bytes < 1024 * 1024)) bytes += this.parts[end++]?.bytes ?? 0;
    return this.parts.slice(first, end);
  }

  /** Parts in a range whose head has one of these texts; `limit` of them. */
  search(needles: readonly string[], after: number, upTo: number, limit: number): { parts: Part[]; complete: boolean } {
    const found: Part[] = [];
    for (let index = this.#indexAfter(after); index < this.parts.length; index += 1) {
      const part = this.parts[index];
      if (!part || part.last - part.count >= upTo) break;
      if (!needles.some((needle) => part.head.includes(needle))) continue;
      if (found.length === limit) return { parts: found, complete: false };
      found.push(part);
    }
    return { parts: found, complete: true };
  }

  /** Token of the part that ends at a position. */
  tokenAt(position: number): string | undefined {
    const part = this.parts[this.#indexAfter(position - 1)];
    return part?.last === position ? part.token : undefined;
  }

  /** A claim that nobody gave back is released where its stream would have begun. */
  leave(node: string): void {
    this.nodes.delete(node);
    for (const claim of this.claims.values()) {
      if (claim.node === node && claim.detach === undefined) release(claim, claim.from ?? LOST, claim.from ?? LOST);
    }
  }

  renewEpoch(): void {
    this.#epoch = randomId(8);
    for (const claim of this.claims.values()) release(claim, LOST, LOST);
  }

  maintain(request: MaintenanceRequest): MaintenanceAnswer {
    const time = request.asOf;
    for (const { node, beat } of request.remove) {
      if (String(this.nodes.get(node)?.beats) !== beat) continue;
      this.nodes.delete(node);
      for (const claim of this.claims.values()) {
        if (claim.node === node && claim.detach === undefined) release(claim, LOST, LOST);
      }
    }
    for (const [session, { detach, changedAt }] of this.claims) {
      if (detach !== undefined && time - changedAt > request.forgetReleasedMs) this.claims.delete(session);
    }
    for (const [id, { node, usedAt }] of this.producers) {
      if (time - usedAt > request.producerIdleMs && !this.nodes.has(node)) this.producers.delete(id);
    }
    this.#trimLarge(time - request.keepMs, request.maxLogBytes);
    const overtaken = this.#trim(time - request.keepMs, request.maxLogBytes);
    const silent: SilentNode[] = [];
    for (const [node, { beatAt, beats }] of this.nodes) {
      if (time - beatAt > request.sessionTimeoutMs) silent.push({ node, beat: String(beats) });
    }
    return { silent, overtaken };
  }

  /** Holds a burst to its bound, long before the next maintenance. Whoever had not read that finds the hole itself. */
  boundTo(maxBytes: number): void {
    // A quarter more, so that not every append moves the whole array.
    if (this.bytes > maxBytes * 1.25) this.#trim(Number.NEGATIVE_INFINITY, maxBytes);
  }

  /** @returns how many nodes had not read what was trimmed for its size */
  #trim(before: number, maxBytes: number): number {
    const lowest = Math.min(...[...this.nodes.values()].map(({ cursor }) => cursor));
    let drop = 0;
    const { trimmed } = this;
    let excess = this.bytes - maxBytes;
    for (const { last, bytes, storedAt } of this.parts) {
      const old = last < lowest && last < this.head && storedAt < before;
      if (!old && excess <= 0) break;
      excess -= bytes;
      this.bytes -= bytes;
      this.trimmed = last;
      drop += 1;
    }
    this.parts.splice(0, drop);
    return [...this.nodes.values()].filter(({ cursor }) => cursor >= trimmed && cursor < this.trimmed).length;
  }

  /** They have the same bound as the log, and the newest stays, whatever its size. */
  #trimLarge(before: number, maxBytes: number): void {
    let kept = this.large.size;
    let bytes = 0;
    for (const { payload } of this.large.values()) bytes += payload.length;
    for (const [id, { payload, storedAt }] of this.large) {
      if (storedAt >= before && (bytes <= maxBytes || kept === 1)) break;
      this.large.delete(id);
      bytes -= payload.length;
      kept -= 1;
    }
  }

  #indexAfter(position: number): number {
    let low = 0;
    let high = this.parts.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.parts[middle]?.last ?? 0) > position) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}

function release(claim: Claim, detach: number, sent: number): void {
  claim.detach = detach;
  claim.sent = sent;
  claim.changedAt = performance.now();
}

/**
 * Where a stream that claims now has to start at the earliest: kept with the claim for the case that its node dies
 * before the stream has begun.
 */
function earliestStartOf(old: Claim | undefined, cursor: number | undefined, at: number): number | undefined {
  if (!old) return at;
  if (old.detach === LOST) return undefined;
  if (old.detach !== undefined) return old.detach;
  if (cursor === undefined) return undefined;
  if (cursor >= old.at) return cursor;
  return old.from === undefined ? undefined : Math.min(cursor, old.from);
}
