import { type PostgresServer, startPostgres, waitFor } from 'test-support';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Rig } from './support/rig.ts';
import type { LocalNode } from './support/test-node.ts';

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server.stop());

const decoder = new TextDecoder('utf-8', { fatal: true });

/** Reads the stream of a session, frame by frame, as bytes and text. */
class Reader {
  readonly frames: string[] = [];
  /** Event ids of the frames. */
  readonly ids: string[] = [];

  /** A stream that gets what lies after an event. */
  static resume({ manager }: LocalNode, session: string, lastEventId: string | undefined): Reader {
    const reader = new Reader();
    const start = (controller: ReadableStreamDefaultController): Promise<void> =>
      manager.create(session, controller, { lastEventId });
    void reader.#read(new ReadableStream<Uint8Array>({ start }).getReader());
    return reader;
  }

  static async open(node: LocalNode, session: string): Promise<Reader> {
    const { manager } = node;
    const reader = Reader.resume(node, session, undefined);
    // Its `create` was called before; this one comes behind it in the log.
    await manager.publish([session], 'first\n\n');
    await waitFor(() => reader.frames.length === 1);
    reader.frames.length = 0;
    reader.ids.length = 0;
    return reader;
  }

  async #read(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<void> {
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      const text = decoder.decode(next.value);
      if (text === '') continue;
      this.ids.push(/^id: (.*)\n/.exec(text)?.[1] ?? '');
      this.frames.push(text.replace(/^id: .*\n/, ''));
    }
  }
}

/** A node that sends, and one that reads: what is compared has travelled through the server. */
async function twoNodes(rig: Rig, session: string): Promise<{ from: LocalNode; reader: Reader; node: LocalNode }> {
  const [from, node] = [rig.node(), rig.node()];
  return { from, node, reader: await Reader.open(node, session) };
}

/** Sends all at once, so that they share batches, and expects them in order and unchanged. */
async function arrive(from: LocalNode, reader: Reader, session: string, frames: readonly string[]): Promise<void> {
  reader.frames.length = 0;
  await Promise.all(frames.map((frame) => from.publish([session], frame)));
  await waitFor(() => reader.frames.length >= frames.length, { timeoutMs: 25_000 });
  expect(reader.frames.length).toBe(frames.length);
  for (const [i, frame] of frames.entries()) {
    // Not `toBe`: a difference of 16 MiB cannot be shown.
    if (reader.frames[i] !== frame) throw new Error(`frame ${i} of ${frame.length} characters arrived changed`);
  }
}

/** A frame of exactly so many UTF-8 bytes, ending in these characters. */
function frameOf(bytes: number, end = '', fill = 'x'): string {
  const rest = bytes - Buffer.byteLength(`${end}\n\n`);
  const count = Math.floor(rest / Buffer.byteLength(fill));
  return `${'.'.repeat(rest - count * Buffer.byteLength(fill))}${fill.repeat(count)}${end}\n\n`;
}

/** Bytes of the head of a part that holds one frame for this session. */
const headBytes = (session: string, frame: string): number =>
  Buffer.byteLength(JSON.stringify([[session, frame.length]]));

describe.concurrent('payloads at the edges of what fits', () => {
  it('faults/edge-part: parts of 7,799, 7,800 and 7,801 bytes, alone and between small ones', async () => {
    await using rig = await Rig.on(server);
    const { from, reader } = await twoNodes(rig, 'edge');
    for (const size of [7_798, 7_799, 7_800, 7_801, 7_802]) {
      const draft = frameOf(size - 16);
      const exact = frameOf(size - headBytes('edge', draft));
      expect(headBytes('edge', exact) + Buffer.byteLength(exact)).toBe(size);
      await arrive(from, reader, 'edge', [exact]);
      await arrive(from, reader, 'edge', ['a\n\n', exact, 'b\n\n', exact, exact, 'c\n\n']);
    }
    const rows = await rig.query<{ most: number }>(
      'select max(octet_length(head) + octet_length(data)) filter (where n > 1) as most from tmcp_sessions_log',
    );
    expect(rows[0]?.most).toBeLessThanOrEqual(7_800);
  });

  it('faults/edge-notification: notifications of 7,998 to 8,001 bytes, the first of which still fit', async () => {
    await using rig = await Rig.on(server);
    const { from, reader } = await twoNodes(rig, 'edge');
    const prefix = async (): Promise<number> => {
      const [row] = await rig.query<{ bytes: number }>(
        `select octet_length(h.epoch || '|' || l.last || '|' || l.n || '|' || l.tok || '|' || chr(10)) as bytes
         from tmcp_sessions_head h, tmcp_sessions_log l where l.last = h.pos`,
      );
      return row?.bytes ?? Number.NaN;
    };
    for (const size of [7_998, 7_999, 8_000, 8_001]) {
      await arrive(from, reader, 'edge', ['next\n\n']);
      const room = size - (await prefix());
      const draft = frameOf(room - 16);
      const exact = frameOf(room - headBytes('edge', draft));
      await arrive(from, reader, 'edge', [exact]);
      await arrive(from, reader, 'edge', [exact, 'after\n\n']);
    }
  });

  it('faults/edge-multi-byte: characters of two, three and four bytes across every edge stay whole', async () => {
    await using rig = await Rig.on(server);
    const { from, reader } = await twoNodes(rig, 'ünï-🦆');
    for (const end of ['é', '漢', '🦆', '🦆é漢']) {
      const frames = [7_700, 7_760, 7_770, 7_780, 7_790, 7_799, 7_800, 7_801, 7_999, 8_000, 65_535, 65_536, 65_537];
      await arrive(
        from,
        reader,
        'ünï-🦆',
        frames.map((size) => frameOf(size, end)),
      );
      await arrive(
        from,
        reader,
        'ünï-🦆',
        frames.map((size) => frameOf(size, '', end)),
      );
    }
  });

  it('faults/edge-64-kib: just below, at and above 64 KiB, in order with what surrounds it', async () => {
    await using rig = await Rig.on(server);
    const { from, reader } = await twoNodes(rig, 'edge');
    for (const size of [65_535, 65_536, 65_537, 65_600]) {
      await arrive(from, reader, 'edge', ['a\n\n', frameOf(size), 'b\n\n', frameOf(size), frameOf(size), 'c\n\n']);
    }
    const [row] = await rig.query<{ count: number }>('select count(*)::int as count from tmcp_sessions_large');
    expect(row?.count).toBe(6);
  });

  it('faults/edge-16-mib: the largest message arrives with small ones around it, and a byte more is refused', async () => {
    await using rig = await Rig.on(server);
    const { from, node, reader } = await twoNodes(rig, 'edge');
    const other = await Reader.open(node, 'other');
    const most = 16 * 1024 * 1024;
    const largest = frameOf(most, '漢');
    await Promise.all([
      arrive(from, reader, 'edge', ['a\n\n', largest, 'b\n\n']),
      arrive(from, other, 'other', ['1\n\n', '2\n\n', '3\n\n']),
    ]);
    await expect(from.publish(['edge'], frameOf(most + 1))).rejects.toMatchObject({ code: 'message-too-large' });
    await arrive(from, reader, 'edge', ['c\n\n']);
  });

  it('faults/edge-nul: NUL inside JSON passes, a raw NUL and a lone surrogate are refused and harm nobody', async () => {
    await using rig = await Rig.on(server);
    const { from, reader } = await twoNodes(rig, 'edge');
    const escaped = `data: ${JSON.stringify({ text: 'a\u0000b\ud800c', quotes: `'"\\`, sql: "'); drop table x; --" })}\n\n`;
    await arrive(from, reader, 'edge', [
      escaped,
      'data: [0,1]\n\n',
      'data: |2||\n\n',
      `data: ${'\\'.repeat(5_000)}\n\n`,
    ]);
    for (const bad of ['data: \0\n\n', 'data: \ud800\n\n']) {
      await expect(from.publish(['edge'], bad)).rejects.toMatchObject({ code: 'invalid-message' });
    }
    await arrive(from, reader, 'edge', ['fine\n\n']);
  });

  it('faults/edge-ids: ids of 1,024 bytes, ids that are part of others, quotes, patterns; each gets its own messages', async () => {
    await using rig = await Rig.on(server);
    const [from, node] = [rig.node(), rig.node()];
    const tricky = [
      'a',
      'aa',
      'a"',
      "a'",
      'a\\',
      'a%',
      '_',
      '[0,',
      '["a"',
      '0',
      '1',
      'null',
      '{"k":"c"}',
      '🦆',
      '\u00e9',
      'e\u0301',
    ];
    const long = ['x'.repeat(1_024), `${'x'.repeat(1_023)}y`, '🦆'.repeat(256)];
    const ids = [...tricky, ...long];
    const readers = await Promise.all(ids.map((id) => Reader.open(node, id)));
    await Promise.all(ids.map((id, i) => from.publish([id], `to ${i}\n\n`)));
    await from.publish(ids, 'to all\n\n');
    await waitFor(() => readers.every(({ frames }) => frames.length >= 2));
    expect(readers.map(({ frames }) => frames)).toEqual(ids.map((_, i) => [`to ${i}\n\n`, 'to all\n\n']));
    // A process that has to search the log for them.
    const later = rig.node();
    const resumed = ids.map((id, i) => Reader.resume(later, id, readers[i]?.ids[0]));
    await waitFor(() => resumed.every(({ frames }) => frames.length >= 1));
    await from.publish(undefined, 'end\n\n');
    await waitFor(() => resumed.every(({ frames }) => frames.includes('end\n\n')));
    for (const { frames } of resumed) expect(frames).toEqual(['to all\n\n', 'end\n\n']);
    await expect(from.publish(['x'.repeat(1_025)], 'no\n\n')).rejects.toMatchObject({ code: 'invalid-id' });
  });

  it('faults/edge-many: ten thousand ids in one message, and ten thousand equal messages', async () => {
    await using rig = await Rig.on(server);
    const { from, reader } = await twoNodes(rig, 'session-9999');
    const ids = Array.from({ length: 10_000 }, (_, i) => `session-${i}`);
    await from.publish(ids, 'many\n\n');
    await waitFor(() => reader.frames.length === 1);
    await arrive(from, reader, 'session-9999', new Array<string>(10_000).fill('same\n\n'));
  });
});
