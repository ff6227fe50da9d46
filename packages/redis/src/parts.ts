import type { Batch, Part } from '@tmcp/session-manager';

/** The one value of a part in the stream: its head, a line break (JSON has none), its data. */
export function encodeBody({ head, data }: { readonly head: string; readonly data: string }): string {
  return `${head}\n${data}`;
}

/** Entries as XRANGE and XREAD answer them: `[id, [n, count, k, token, e, epoch, b, body]]`. */
export function decodeEntries(entries: unknown): Part[] {
  return (entries as readonly Entry[]).map(([id, fields]) => {
    const [, count, , token, , epoch, , body] = fields;
    const end = body.indexOf('\n');
    return {
      epoch,
      last: Number.parseInt(id, 10),
      count: Number(count),
      token,
      head: body.slice(0, end),
      data: body.slice(end + 1),
    };
  });
}

/**
 * A batch as it is read, once it is stored: the tokens are those of the script `append`.
 *
 * @param last position of its last operation
 */
export function partsOf({ epoch, producer, number, parts }: Batch, last: number): Part[] {
  let position = last - parts.reduce((sum, { count }) => sum + count, 0);
  return parts.map(({ count, head, data }, index) => {
    position += count;
    return { epoch, last: position, count, token: `${producer}:${number}:${index + 1}`, head, data };
  });
}

type Entry = readonly [
  id: string,
  fields: readonly [string, count: string, string, token: string, string, epoch: string, string, body: string],
];
