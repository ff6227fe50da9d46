import { describe, expect, it } from 'vitest';
import { InProcessBackplane } from '../../src/in-memory/in-process-backplane.ts';
import { cleanUpAfter, copyOf, truncate, wipe } from '../support/log-faults.ts';
import { Connection, messageNumber } from '../support/sse-client.ts';
import { type TestNode, World } from '../support/world.ts';

/** Races and rare orders that the properties found, or that were found by reading; each was a bug. */

const SLOW = { keepAliveMs: 0, heartbeatMs: 3_000 };

function received({ frames }: Connection): (number | undefined)[] {
  return frames.map(messageNumber);
}

function losses({ reports }: TestNode): string[] {
  const codes: string[] = ['discontinuity', 'evicted', 'not-resumed'];
  return reports.map(({ code }) => code).filter((code) => codes.includes(code));
}

function run(test: (world: World) => Promise<void>): Promise<void> {
  return World.run({ seed: 1 }, test);
}

/** A reader with an open stream, and a writer. */
async function readerAndWriter(world: World): Promise<{ reader: TestNode; writer: TestNode; stream: Connection }> {
  const reader = world.addNode(SLOW);
  const writer = world.addNode(SLOW);
  const stream = new Connection(reader, 's');
  await world.time.advance(50);
  world.publish(writer, ['other']);
  await world.time.advance(50);
  return { reader, writer, stream };
}

describe('discontinuities', () => {
  it('node/renewed-once: a new epoch that a beat saw before its answer came ends the streams once', () =>
    run(async (world) => {
      const { reader, writer } = await readerAndWriter(world);
      world.log.producers.clear();
      reader.backplane.failNext('renewEpoch', { kind: 'slow', ms: 500 });
      world.publish(reader, ['other']); // finds the gap
      await world.time.settle();
      world.publish(writer, ['other']); // is pushed in the new epoch
      await world.time.advance(100);
      const second = new Connection(reader, 's');
      await world.time.advance(1_000);
      expect(second.state).toBe('open');
      world.publish(writer, ['s']);
      await world.time.advance(50);
      expect(received(second).filter(Boolean)).toEqual([4]);
      expect(reader.manager.stats().discontinuities).toBe(1);
    }));

  it('node/gap-remembered: a gap whose new epoch cannot be written is told as soon as it can', () =>
    run(async (world) => {
      const { reader, writer, stream } = await readerAndWriter(world);
      const copy = copyOf(world.log);
      for (const { backplane } of [reader, writer]) backplane.failNextPush({ kind: 'drop' });
      world.publish(writer, ['s']);
      await world.time.settle();
      copy(); // nobody has read it, but the writer knows that it was stored
      writer.backplane.failNext('renewEpoch', { kind: 'refuse' });
      world.publish(writer, ['other']);
      await world.time.advance(7_000);
      expect(stream.state).not.toBe('open');
      expect(losses(reader)).toContain('discontinuity');
    }));

  it('node/set-back-before-start: a store set back to before a process began is told to all, and is no eviction', () =>
    run(async (world) => {
      const reader = world.addNode(SLOW);
      const stream = new Connection(reader, 's');
      await world.time.advance(50);
      const copy = copyOf(world.log);
      const writer = world.addNode(SLOW);
      reader.backplane.failNextPush({ kind: 'drop' });
      world.publish(writer, ['s']);
      await world.time.advance(10);
      copy();
      await world.time.advance(7_000);
      expect(losses(writer)).toEqual(['discontinuity']);
      expect(losses(reader)).toEqual(['discontinuity']);
      expect(stream.state).not.toBe('open');
    }));

  it('node/set-back-to-left-epoch: an older copy of the log gets a new epoch, for its claims and event ids are void', () =>
    run(async (world) => {
      const { reader, writer } = await readerAndWriter(world);
      const copy = copyOf(world.log);
      const { epoch } = world.log;
      wipe(world.log);
      await world.time.advance(4_000);
      copy();
      await world.time.advance(4_000);
      expect(world.log.epoch).not.toBe(epoch);
      const next = new Connection(reader, 's');
      await world.time.advance(500);
      world.publish(writer, ['s']);
      await world.time.advance(50);
      expect(received(next).filter(Boolean)).toEqual([2]);
    }));

  it('node/forgotten-while-claiming: a process that is cleaned up while it claims opens the next stream at once', () =>
    run(async (world) => {
      const { reader, writer } = await readerAndWriter(world);
      cleanUpAfter(world.log, reader.node.id);
      reader.backplane.failNext('append', { kind: 'slow', ms: 3_500 });
      const claiming = new Connection(reader, 'claiming');
      await world.time.advance(4_000);
      expect(losses(reader)).toContain('evicted');
      const next = claiming.isOpen ? claiming : new Connection(reader, 'claiming');
      await world.time.advance(500);
      world.publish(writer, ['claiming']);
      await world.time.advance(50);
      expect(received(next).filter(Boolean)).toEqual([2]);
      expect(await world.time.until(writer.manager.has('claiming'))).toBe(true);
      next.cancel();
      await world.time.advance(50);
      expect(await world.time.until(writer.manager.has('claiming'))).toBe(false);
    }));

  it('node/claimed-while-adopting: a claim that is answered while the log is adopted leaves no stream that never begins', () =>
    run(async (world) => {
      const { reader, writer } = await readerAndWriter(world);
      reader.backplane.failNextPush({ kind: 'drop' });
      reader.backplane.failNext('append', { kind: 'slow', ms: 100 });
      const claiming = new Connection(reader, 'claiming');
      await world.time.advance(1);
      world.log.renewEpoch();
      reader.backplane.failNext('beat', { kind: 'slow', ms: 1 });
      reader.backplane.failNext('beat', { kind: 'slow', ms: 500 });
      world.publish(writer, ['other']);
      await world.time.advance(2_000);
      const next = claiming.isOpen ? claiming : new Connection(reader, 'claiming');
      await world.time.advance(500);
      world.publish(writer, ['claiming']);
      await world.time.advance(50);
      expect(received(next).filter(Boolean)).toEqual([3]);
    }));

  it('node/evicted-sends: a process that others cleaned up after stores nothing before it knows, and nothing twice', () =>
    run(async (world) => {
      const { reader, writer, stream } = await readerAndWriter(world);
      writer.freeze();
      await world.time.advance(80_000);
      cleanUpAfter(world.log, writer.node.id);
      world.log.producers.clear();
      await writer.thaw('data');
      world.publish(writer, ['s']);
      await world.time.advance(2_000);
      expect(losses(writer)).toEqual(['evicted']);
      expect(losses(reader)).toEqual([]);
      expect(received(stream)).toEqual([2]);
    }));

  it('node/evicted-while-sending: a process that is cleaned up after while it stores is the only one that is told', () =>
    run(async (world) => {
      const { reader, writer, stream } = await readerAndWriter(world);
      const own = new Connection(writer, 'own');
      await world.time.advance(50);
      writer.backplane.failNext('append', { kind: 'late', ms: 100 });
      world.publish(writer, ['s']);
      await world.time.advance(10);
      cleanUpAfter(world.log, writer.node.id);
      world.log.producers.clear();
      await world.time.advance(2_000);
      expect(losses(writer)).toEqual(['evicted']);
      expect(own.state).not.toBe('open');
      expect(losses(reader)).toEqual([]);
      expect(received(stream)).toEqual([2]);
      world.publish(writer, ['s']);
      await world.time.advance(50);
      expect(received(stream)).toEqual([2, 3]);
      expect(losses(reader)).toEqual([]);
    }));

  it('node/evicted-unheard: a process whose beat found that it was cleaned up after learns it, even if the answer is lost', () =>
    run(async (world) => {
      const { reader, writer } = await readerAndWriter(world);
      const own = new Connection(writer, 'own');
      await world.time.advance(50);
      cleanUpAfter(world.log, writer.node.id);
      writer.backplane.failNext('beat', { kind: 'swallow' });
      await world.time.advance(7_000);
      expect(losses(writer)).toEqual(['evicted']);
      expect(own.state).not.toBe('open');
      expect(losses(reader)).toEqual([]);
    }));

  it('node/evicted-and-overtaken: a process that finds the log trimmed first, since others cleaned up after it, disturbs nobody', () =>
    run(async (world) => {
      const { reader, writer, stream } = await readerAndWriter(world);
      for (let n = 0; n < 2; n += 1) {
        writer.backplane.failNextPush({ kind: 'drop' });
        world.publish(reader, ['other']);
        await world.time.advance(10);
      }
      cleanUpAfter(world.log, writer.node.id);
      world.log.producers.clear();
      world.log.maintain({
        node: reader.node.id,
        asOf: Number.POSITIVE_INFINITY,
        sessionTimeoutMs: Number.POSITIVE_INFINITY,
        forgetReleasedMs: Number.POSITIVE_INFINITY,
        producerIdleMs: Number.POSITIVE_INFINITY,
        keepMs: 0,
        maxLogBytes: world.log.parts.at(-1)?.bytes ?? 0,
        remove: [],
      });
      writer.backplane.wake(world.log.head);
      await world.time.advance(10);
      world.publish(writer, ['s']);
      await world.time.advance(7_000);
      expect(losses(writer)).toEqual(['discontinuity']);
      expect(losses(reader)).toEqual([]);
      expect(received(stream)).toEqual([4]);
    }));

  it('node/beats-fail-in-new-epoch: a new epoch that cannot be adopted yet does not make reading spin', () =>
    run(async (world) => {
      const { reader } = await readerAndWriter(world);
      world.log.renewEpoch();
      for (let n = 0; n < 12; n += 1) reader.backplane.failNext('beat', { kind: 'refuse' });
      const before = reader.backplane.calls.get('read') ?? 0;
      reader.backplane.wake(world.log.head + 1);
      await world.time.settle();
      expect((reader.backplane.calls.get('read') ?? 0) - before).toBe(1);
      await world.time.advance(60_000);
      expect(losses(reader)).toEqual(['discontinuity']);
    }));
});

describe('reading', () => {
  it('reader/wake-while-reading: a wake-up that comes while the log is read is not forgotten', () =>
    run(async (world) => {
      const { reader, writer, stream } = await readerAndWriter(world);
      reader.backplane.failNext('read', { kind: 'slow', ms: 100 });
      reader.backplane.wake(undefined); // it reads that there is nothing
      await world.time.advance(50);
      reader.backplane.failNextPush({ kind: 'wake', head: false });
      world.publish(writer, ['s']);
      await world.time.advance(200);
      expect(received(stream)).toEqual([2]);
    }));

  it('reader/reconnected-while-beating: what was missed is read at once, not with the next beat', () =>
    run(async (world) => {
      const { reader, writer, stream } = await readerAndWriter(world);
      reader.backplane.failNext('beat', { kind: 'slow', ms: 1_000 });
      await world.time.advance(2_950); // the beat is under way, answered before the message
      reader.backplane.listen(false);
      world.publish(writer, ['s']);
      await world.time.advance(100);
      reader.backplane.listen(true);
      await world.time.advance(50);
      expect(received(stream)).toEqual([2]);
    }));

  it('reader/false-alarms: announcements of what is not there are no discontinuity, however many', () =>
    run(async (world) => {
      const { reader, writer, stream } = await readerAndWriter(world);
      for (let n = 0; n < 5; n += 1) {
        reader.backplane.wake(world.log.head + 100);
        await world.time.advance(200);
      }
      world.publish(writer, ['s']);
      await world.time.advance(50);
      expect(received(stream)).toEqual([2]);
      expect(losses(reader)).toEqual([]);
    }));

  it('reader/unreadable-tail: an entry that nobody can read does not keep a stream from going live', () =>
    run(async (world) => {
      const { reader, writer } = await readerAndWriter(world);
      const raw = new InProcessBackplane({ hub: world.hub });
      const late = new Connection(reader, 'late');
      await world.time.settle();
      await raw.append({
        epoch: world.log.epoch,
        node: 'newer version',
        producer: 'newer version',
        number: 1,
        acknowledged: 0,
        parts: [{ count: 2, head: '[{"k":"?"}]', data: '', bytes: 10 }],
        controls: [],
      });
      await world.time.advance(500);
      world.publish(writer, ['late']);
      await world.time.advance(500);
      expect(received(late)).toEqual([2]);
      expect(reader.errors.map(({ message }) => message)).toEqual([
        'an entry of the log cannot be read; it was skipped',
      ]);
    }));
});

describe('sessions', () => {
  it('streams/quiet-twice: a quiet session resumes for ever, however often its client comes back with its old last id', () =>
    run(async (world) => {
      const reader = world.addNode(SLOW);
      let stream = new Connection(reader, 's');
      await world.time.advance(50);
      world.publish(reader, ['s']);
      await world.time.advance(50);
      const { lastId } = stream;
      for (let n = 0; n < 4; n += 1) {
        stream.cancel();
        await world.time.advance(30_000);
        for (let m = 0; m < 5; m += 1) world.publish(reader, ['other']);
        await world.time.advance(100);
        truncate(world.log, world.log.head - 3);
        stream = new Connection(reader, 's', lastId);
        await world.time.advance(500);
        expect(losses(reader), `after ${n + 1} reconnects`).toEqual([]);
      }
      world.publish(reader, ['s']);
      await world.time.advance(50);
      expect(received(stream)).toEqual([world.messages.length]);
    }));

  it('streams/end-after-cancel: a DELETE means the session while a cancelled stream of it still learns where it began', () =>
    run(async (world) => {
      const owner = world.addNode(SLOW);
      const other = world.addNode(SLOW);
      new Connection(owner, 's');
      await world.time.advance(50);
      owner.freeze();
      const waiting = new Connection(other, 's');
      await world.time.advance(100);
      waiting.cancel();
      await world.time.settle();
      void other.run('delete', () => other.manager.delete('s'));
      await world.time.advance(100);
      expect(world.history.some(({ item }) => 'k' in item && item.k === 'e')).toBe(true);
    }));

  it('streams/closed-while-claiming: a claim that is stored while its manager closes is given back', () =>
    run(async (world) => {
      const { reader, writer } = await readerAndWriter(world);
      reader.backplane.failNext('append', { kind: 'late', ms: 2_000 });
      const claiming = new Connection(reader, 'claiming');
      await world.time.settle();
      void reader.run('close', () => reader.manager.close());
      await world.time.advance(5_000);
      expect(claiming.isOpen).toBe(false);
      expect(world.log.claims.get('claiming')?.detach).toBeDefined();
      world.publish(writer, ['claiming']);
      const next = new Connection(writer, 'claiming');
      await world.time.advance(100);
      expect(received(next)).toEqual([2]);
      expect(losses(writer)).toEqual([]);
    }));

  it('streams/goodbye-while-beating: a predecessor that releases and leaves is taken at its word, not at its last beat', () =>
    run(async (world) => {
      const other = world.addNode(SLOW);
      world.publish(other, ['nobody']);
      await world.time.advance(1_000);
      const owner = world.addNode(SLOW);
      const first = new Connection(owner, 's');
      await world.time.advance(1_900);
      world.publish(other, ['s']); // above the cursor that the owner has written
      await world.time.advance(90);
      owner.backplane.failNextPush({ kind: 'drop' });
      const second = new Connection(other, 's');
      // The other one's beat is answered before the release is stored, and the answer comes after the owner has left.
      other.backplane.failNext('beat', { kind: 'slow', ms: 300 });
      await world.time.advance(12);
      for (let n = 0; n < 3; n += 1) other.backplane.failNextPush({ kind: 'drop' });
      void owner.run('close', () => owner.manager.close());
      await world.time.advance(5_000);
      expect(received(first)).toEqual([2]);
      expect(received(second)).toEqual([]);
    }));
});
