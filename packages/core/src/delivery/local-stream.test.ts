import { describe, expect, it } from 'vitest';
import { LocalStream } from './local-stream.ts';
import { encodeText } from './text.ts';

/** @param written what the host wrote before it handed the stream over */
function openStream(written?: string): { stream: LocalStream; reader: ReadableStreamDefaultReader<Uint8Array> } {
  let controller: ReadableStreamDefaultController | undefined;
  const body = new ReadableStream<Uint8Array>({
    start: (started) => {
      controller = started;
      if (written !== undefined) started.enqueue(encodeText(written));
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

  it('local-stream/written-before: a quiet stream whose host wrote first ends in good order', async () => {
    const { stream, reader } = openStream(': first\n\n');
    await reader.read();
    const end = reader.read();
    expect(stream.finish(4)).toEqual({ detach: 4, sent: 0 });
    expect(await end).toEqual({ done: true, value: undefined });
  });

  it('local-stream/written-before-unread: what its client has not read was not delivered', async () => {
    const { stream, reader } = openStream(': first\n\n');
    await reader.read();
    stream.push(1, encodeText('one'));
    expect(stream.unreadBytes()).toBe(3);
    expect(stream.finish(4)).toEqual({ detach: 0, sent: 0 });
    await expect(reader.read()).rejects.toThrow('reconnect to continue');
  });
});
