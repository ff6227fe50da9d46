import type { BackplaneListener, Part } from '@tmcp/session-manager';
import type { Row } from './driver.ts';

/**
 * What travels in a notification, as the append function writes it: `epoch|last|count|token|head⏎data`. A part that
 * does not fit has count 0 and is announced by its position alone.
 */
export function decodeNotification(payload: string): Part | number | undefined {
  const fields: string[] = [];
  let from = 0;
  for (let i = 0; i < 4; i += 1) {
    const to = payload.indexOf('|', from);
    if (to < 0) return undefined;
    fields.push(payload.slice(from, to));
    from = to + 1;
  }
  const [epoch = '', last, count, token = ''] = fields;
  if (count === '0') return Number(last);
  const line = payload.indexOf('\n', from);
  if (line < 0) return undefined;
  return {
    epoch,
    last: Number(last),
    count: Number(count),
    token,
    head: payload.slice(from, line),
    data: payload.slice(line + 1),
  };
}

/** A stored part: the columns last, n, tok, head, data. */
export function decodePartRow(epoch: string, [last, count, token, head, data]: Row): Part {
  return {
    epoch,
    last: Number(last),
    count: Number(count),
    token: token ?? '',
    head: head ?? '',
    data: data ?? '',
  };
}

/**
 * Hands over what arrived together in one call: the driver reports one notification at a time, but all of them that
 * stood in one packet before it yields.
 */
export function collectArrivals(listener: Pick<BackplaneListener, 'parts' | 'wake'>): (payload: string) => void {
  let parts: Part[] = [];
  let announced: number | undefined;
  let scheduled = false;
  const handOver = (): void => {
    const arrived = parts;
    const head = announced;
    parts = [];
    announced = undefined;
    scheduled = false;
    if (arrived.length > 0) listener.parts(arrived);
    if (head !== undefined) listener.wake(head);
  };
  return (payload) => {
    const part = decodeNotification(payload);
    if (part === undefined) return;
    if (typeof part === 'number') announced = part;
    else parts.push(part);
    if (!scheduled) queueMicrotask(handOver);
    scheduled = true;
  };
}
