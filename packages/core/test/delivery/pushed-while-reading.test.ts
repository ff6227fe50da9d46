import { expect, it } from 'vitest';
import { Connection, messageNumber } from '../support/sse-client.ts';
import { World } from '../support/world.ts';

const SLOW = { keepAliveMs: 0, heartbeatMs: 9_000 };

it('node/pushed-while-reading: what is pushed without a hole is delivered while the log cannot be read', () =>
  World.run({ seed: 1 }, async (world) => {
    const reader = world.addNode(SLOW);
    const writer = world.addNode(SLOW);
    const stream = new Connection(reader, 's');
    await world.time.advance(50);
    for (let read = 0; read < 20; read += 1) reader.backplane.failNext('read', { kind: 'refuse' });
    reader.backplane.wake(undefined);
    await world.time.advance(50);
    for (let message = 0; message < 3; message += 1) world.publish(writer, ['s']);
    await world.time.advance(50);
    expect(stream.frames.map(messageNumber)).toEqual([1, 2, 3]);
  }));
