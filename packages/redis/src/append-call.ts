import {
  type AppendAnswer,
  type Batch,
  type ClaimAnswer,
  type ControlOperation,
  SessionError,
} from '@tmcp/session-manager';
import { encodeBody } from './parts.ts';

/** Until the first maintenance has told the log its bound. */
const DEFAULT_MAX_LOG_BYTES = 256 * 1024 * 1024;

/**
 * The values of the script `append`.
 *
 * @param isConfirmed whether replicas are asked afterwards
 */
export function appendValues(batch: Batch, isConfirmed: boolean): (string | number)[] {
  const { epoch, node, producer, number, acknowledged, parts, controls } = batch;
  return [
    epoch,
    node,
    producer,
    number,
    acknowledged,
    parts.length,
    controls.length,
    DEFAULT_MAX_LOG_BYTES,
    isConfirmed ? 1 : 0,
    ...parts.flatMap((part) => [part.count, encodeBody(part)]),
    ...controls.flatMap(controlValues),
  ];
}

function controlValues(control: ControlOperation): (string | number)[] {
  const { kind, offset, session } = control;
  const claim = control.kind === 'end' ? '' : control.claim;
  const [detach, sent] = control.kind === 'release' ? [control.detach, control.sent] : ['', ''];
  return [kind, offset, session, claim, detach, sent];
}

export function decodeAppendAnswer(answer: unknown): AppendAnswer {
  const [state, last, gap, claims] = answer as [string, string, string, string];
  if (state === 'epoch') return { state };
  if (state === 'burnt') throw new SessionError('refused', 'this batch came after a later one of the same process');
  const found = JSON.parse(claims) as string[][];
  return { state: 'stored', last: Number(last), claims: found.map(decodeClaim), gap: gap === '1' };
}

function decodeClaim(values: string[]): ClaimAnswer {
  const [session = '', claim = '', at, floor, previous = '', node = '', previousAt, from, detach, sent, cursor] =
    values;
  return {
    session,
    claim,
    at: Number(at),
    floor: Number(floor),
    previous: previousAt
      ? {
          claim: previous,
          node,
          at: Number(previousAt),
          from: optional(from),
          detach: optional(detach),
          sent: optional(sent),
          cursor: optional(cursor),
        }
      : undefined,
  };
}

function optional(text: string | undefined): number | undefined {
  return text ? Number(text) : undefined;
}
