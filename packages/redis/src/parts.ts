import type { Part } from '@tmcp/session-manager';

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

type Entry = readonly [
  id: string,
  fields: readonly [string, count: string, string, token: string, string, epoch: string, string, body: string],
];
