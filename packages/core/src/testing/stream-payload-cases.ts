import { expect } from 'vitest';
import { HOSTILE_IDS, REFUSED_IDS } from './info-backend.ts';
import { frame, frameOf, frameOfSize, labels } from './messages.ts';
import type { StreamCases, TestedStreamSessionManager } from './stream-backend.ts';
import type { TestClient } from './test-client.ts';
import { TestStream } from './test-stream.ts';

const KiB = 1024;

/** Sends messages of different sizes from one node, and checks them on streams of both, then again when replayed. */
async function checkInOrder(
  messages: readonly string[],
  { a, b, client }: { a: TestedStreamSessionManager; b: TestedStreamSessionManager; client(): TestClient },
): Promise<void> {
  const [near, far, later] = [client(), client(), client()];
  await near.connect(a);
  await far.connect(b);
  await later.connect(b);
  await later.stream.cancel();
  await Promise.all(messages.map((message) => a.publish(undefined, message)));
  await later.connect(a);
  for (const each of [near, far, later]) {
    await each.drain(b);
    const received = each.streams.flatMap(({ frames }) => frames.filter(({ event }) => event === 'message'));
    const texts = received.map(({ data }) => `event: message\ndata: ${data}\n\n`);
    expect(texts.slice(0, -1).map((text) => text.length)).toEqual(messages.map((text) => text.length));
    expect(texts.slice(0, -1).every((text, index) => text === messages[index])).toBe(true);
  }
}

/** What a message and a session id may look like. */
export const streamPayloadCases: StreamCases = {
  'streams/64-kib: messages around 64 KiB keep their order among small ones': async (test) => {
    const sizes = [200, 64 * KiB - 1, 200, 64 * KiB, 200, 64 * KiB + 1, 200, 64 * KiB + 1, 64 * KiB + 2, 200];
    await checkInOrder(
      sizes.map((bytes, index) => frameOfSize(`${index}`, bytes)),
      test,
    );
  },

  'streams/1-mib: a large message does not let later ones pass': async (test) => {
    const sizes = [200, KiB * KiB, 200, 200, 700 * KiB, 200];
    await checkInOrder(
      sizes.map((bytes, index) => frameOfSize(`${index}`, bytes)),
      test,
    );
  },

  'streams/sizes: messages of every size around a store\u2019s limits arrive whole': async (test) => {
    const around = (bytes: number): number[] => Array.from({ length: 24 }, (_, index) => bytes - 12 + index);
    const sizes = [...around(2_000), ...around(7_700), ...around(7_800), ...around(8_000), ...around(8_192)];
    await checkInOrder(
      sizes.map((bytes, index) => frameOfSize(`${index}`, bytes)),
      test,
    );
  },

  'streams/characters: text of any script arrives as it was sent, at every edge': async (test) => {
    const texts = ['é', 'ß€', '漢字', '😀', '\u200b\ufeff', '\u2028\u2029', 'e\u0301', '\uffff\ufffd', '\x7f\x85'];
    const around = [7_790, 64 * KiB - 200].flatMap((bytes) =>
      [0, 1, 2, 3].map((shift) => frame('edge', 'x'.repeat(shift) + '😀é漢'.repeat(bytes / 9))),
    );
    await checkInOrder([...texts.map((text, index) => frame(`${index}`, text.repeat(50))), ...around], test);
  },

  'streams/escapes: what JSON escapes and what a store could take for its own arrive as they are': async (test) => {
    const texts = ['\0', '\r', '\r\n\r\n', '\n\n', '\\', '\\u0000', '"', "'", '$1', '[0,', '{"k":"e"}', '%s', '\x1b'];
    await checkInOrder(
      texts.map((text, index) => frame(`${index}`, text)),
      test,
    );
  },

  'streams/whole-frames: each chunk is one frame, its text untouched below the id': async ({ a, b, client }) => {
    const s = client();
    await s.connect(a);
    const sent = [
      frame('1'),
      frame('2').replaceAll('\n', '\r\n'),
      frame('3').replaceAll('\n', '\r'),
      frameOf({ jsonrpc: '2.0', id: 1, result: {} }),
    ];
    for (const text of sent) await b.publish([s.session], text);
    await s.drain(b);
    const chunks = s.stream.chunks.map((chunk) => new TextDecoder().decode(chunk)).filter((text) => text !== '');
    expect(chunks.slice(1, -1).map((text) => text.replace(/^id: \S+\n/, ''))).toEqual(sent);
  },

  'streams/invalid-message: what no store can keep is refused, and hurts nobody else': async ({
    a,
    client,
    takeReports,
  }) => {
    const s = client();
    await s.connect(a);
    const refused = ['a\0b', '\ud800', 'a\udc00b', 5, null, undefined, {}] as string[];
    const others = labels(refused.length).map((label) => a.publish([s.session], frame(label)));
    for (const data of refused) {
      await expect(a.publish([s.session], data)).rejects.toMatchObject({ code: 'invalid-message' });
      await a.send(undefined, data);
    }
    await Promise.all(others);
    await s.hasExactly(a, labels(refused.length));
    expect(takeReports()).toEqual(refused.map(() => 'invalid-message'));
  },

  'streams/message-too-large: a message may have `maxMessageBytes`, not one more': async ({
    open,
    client,
    takeReports,
  }) => {
    const a = open({ maxMessageBytes: 100_000 });
    const s = client();
    await s.connect(a);
    await a.publish([s.session], frameOfSize('1', 100_000));
    await expect(a.publish([s.session], frameOfSize('2', 100_001))).rejects.toMatchObject({
      code: 'message-too-large',
    });
    await expect(a.publish([s.session], frame('2', 'é'.repeat(50_000)))).rejects.toMatchObject({
      code: 'message-too-large',
    });
    await a.send([s.session], frameOfSize('2', 100_001));
    expect(takeReports()).toEqual(['message-too-large']);
    await s.hasExactly(a, ['1']);
  },

  'streams/ids: an id is data, whatever it holds': async ({ a, b, client }) => {
    const clients = HOSTILE_IDS.map((id) => client(id));
    await Promise.all(clients.map((each, index) => each.connect(index % 2 ? a : b)));
    await Promise.all(HOSTILE_IDS.map((id, index) => a.publish([id], frame(`${index}`))));
    await a.publish([...HOSTILE_IDS], frame('all'));
    for (const [index, each] of clients.entries()) {
      await each.hasExactly(b, [`${index}`, 'all']);
      expect(await a.has(each.session)).toBe(true);
    }
    await Promise.all(clients.map((each) => each.stream.cancel()));
    await Promise.all(HOSTILE_IDS.map((id, index) => b.publish([id], frame(`${index} missed`))));
    for (const [index, each] of clients.entries()) {
      expect(await b.has(each.session)).toBe(false);
      await each.connect(index % 3 ? a : b, { resume: index % 2 === 0 });
      await each.hasExactly(b, [`${index}`, 'all', `${index} missed`]);
    }
  },

  'streams/ids-refused: an id that no store can keep apart is refused, and leaves nothing': async ({
    a,
    takeReports,
  }) => {
    for (const id of [...REFUSED_IDS, 5, null, {}] as string[]) {
      const invalid = { code: 'invalid-id' };
      const stream = new TestStream(a, id);
      await expect(stream.created).rejects.toMatchObject(invalid);
      await expect(a.has(id)).rejects.toMatchObject(invalid);
      await expect(a.publish([id], frame('1'))).rejects.toMatchObject(invalid);
      await expect(a.publish(['valid', id], frame('1'))).rejects.toMatchObject(invalid);
      expect(takeReports()).toEqual([]);
      await a.send([id], frame('1'));
      await a.delete(id);
      expect(takeReports()).toEqual(['invalid-id', 'invalid-id']);
    }
    expect(a.stats().attached).toBe(0);
  },
};
