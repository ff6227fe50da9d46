import { type AppendAnswer, type Batch, type ClaimAnswer, SessionError } from '@tmcp/session-manager';
import type { Row } from './driver.ts';

/**
 * A batch as the arguments of the append function behind the namespace. Texts of parts travel as bytes, behind each
 * other; controls as columns.
 */
export function appendValues(batch: Batch, durability: string, waitMs: number): unknown[] {
  const { controls } = batch;
  const parts = batch.parts.map(({ count, head, data }) => ({
    count,
    head: Buffer.from(head),
    data: Buffer.from(data),
  }));
  return [
    batch.epoch,
    batch.node,
    batch.producer,
    batch.number,
    batch.acknowledged,
    parts.map(({ count }) => count),
    parts.map(({ head }) => head.length),
    parts.map(({ data }) => data.length),
    Buffer.concat(parts.flatMap(({ head, data }) => [head, data])),
    controls.map(({ kind }) => kind),
    controls.map(({ offset }) => offset),
    controls.map(({ session }) => session),
    controls.map((control) => (control.kind === 'end' ? null : control.claim)),
    controls.map((control) => (control.kind === 'release' ? control.detach : null)),
    controls.map((control) => (control.kind === 'release' ? control.sent : null)),
    durability,
    waitMs,
  ];
}

export function decodeAppendAnswer([state, last, gap, claims]: Row): AppendAnswer {
  if (state === 'epoch') return { state };
  if (state === 'stored') {
    return { state, last: Number(last), gap: gap === 't', claims: decodeClaims(claims ?? '[]') };
  }
  throw new SessionError('refused', 'a batch came behind one with a higher number: numbers of a producer must rise');
}

type ClaimRow = readonly [
  session: string,
  claim: string,
  at: number,
  floor: number,
  oldClaim: string | null,
  oldNode: string | null,
  oldAt: number | null,
  oldOrigin: number | null,
  oldDetach: number | null,
  oldSent: number | null,
  oldCursor: number | null,
];

function decodeClaims(json: string): ClaimAnswer[] {
  return (JSON.parse(json) as ClaimRow[]).map(
    ([session, claim, at, floor, oldClaim, oldNode, oldAt, oldOrigin, oldDetach, oldSent, oldCursor]) => ({
      session,
      claim,
      at,
      floor,
      previous:
        oldClaim === null
          ? undefined
          : {
              claim: oldClaim,
              node: oldNode ?? '',
              at: oldAt ?? 0,
              from: oldOrigin ?? undefined,
              detach: oldDetach ?? undefined,
              sent: oldSent ?? undefined,
              cursor: oldCursor ?? undefined,
            },
    }),
  );
}
