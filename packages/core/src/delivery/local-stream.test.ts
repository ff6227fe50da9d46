import { describe, expect, it } from 'vitest';
import { LocalStream } from './local-stream.ts';
import { encodeText } from './text.ts';

function openStream(): { stream: LocalStream; reader: ReadableStreamDefaultReader<Uint8Array> } {
  let controller: ReadableStreamDefaultController | undefined;
  const body = new ReadableStream<Uint8Array>({
    start: (started) => {
      controller = started;
    },
  });
  if (!controller) throw new Error('a stream starts in its constructor');
  return { stream: new LocalStream('session', 'claim', controller, undefined), reader: body.getReader() };
}

describe('LocalStream', () => {
  it('local-stream/unread: what was read is known, whatever else lies in the queue', async () => {
    const { stream, reader } = openStream();
    stream.push(1, encodeText('one'));
    stream.push(2, encodeText('two'));
    await reader.read();
    expect(stream.isDead()).toBe(false);
    await reader.read();
    expect(stream.unreadBytes()).toBe(0);
    stream.push(3, encodeText('three'));
    expect(stream.unreadBytes()).toBe(5);
    expect(stream.finish(4)).toEqual({ detach: 2, sent: 2 });
  });

  it('local-stream/left: a frame that a waiting client took at once has left, and those before it', async () => {
    const { stream, reader } = openStream();
    stream.push(1, encodeText('one'));
    await reader.read();
    const waiting = reader.read();
    stream.push(2, encodeText('two'));
    await waiting;
    stream.push(3, encodeText('three'));
    expect(stream.unreadBytes()).toBe(5);
    expect(stream.finish(4)).toEqual({ detach: 2, sent: 2 });
  });
});
