import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseEventId } from '../../src/delivery/event-id.ts';
import type { HistoryEntry } from '../support/log-faults.ts';
import { Connection, type Frame, messageNumber } from '../support/sse-client.ts';
import { type TestNode, World } from '../support/world.ts';
import { CursorWorld, command, damage } from './cursor-commands.ts';

const seed = fc.noShrink(fc.nat());
const latencyMs = fc.constantFrom(0, 0, 3);

describe('the cursor machine', () => {
  it('properties/cursor-nothing-lost: whatever becomes of pushes and answers, a stream gets every entry once, in order, and no loss is reported', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(command, { maxLength: 40, size: 'max' }),
        seed,
        latencyMs,
        (commands, seed, latencyMs) =>
          World.run({ seed, latencyMs }, async (world) => {
            const cursor = new CursorWorld(world, 600_000); // longer than any outage: nobody is cleaned up
            const { reader, writer } = cursor;
            const connections = ['s', 's2'].map((session) => new Connection(reader, session));
            await world.time.advance(50);
            for (const step of commands) await cursor.carryOut(step);
            cursor.heal();
            await world.time.advance(15_000);
            world.publish(writer, undefined);
            world.publish(reader, undefined);
            await world.time.advance(4_000);

            expect(world.spinning).toBeUndefined();
            expect(reader.manager.stats()).toMatchObject({
              discontinuities: 0,
              lag: 0,
              backlogBytes: 0,
              notResumed: 0,
            });
            for (const connection of connections) {
              expect(connection.state).toBe('open');
              expect(connection.frames.map(messageNumber)).toEqual(storedFor(world, connection));
            }
            expect(world.messages.filter(({ outcome }) => outcome === 'pending')).toEqual([]);
          }),
      ),
      { numRuns: 300 },
    );
  });

  it('properties/cursor-loss-is-told: whatever becomes of the store, a stream is gap-free and free of repeats between two reports, what is lost is reported, streams end once for it, and the next ones are live', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof({ weight: 5, arbitrary: command }, { weight: 1, arbitrary: damage }), {
          maxLength: 40,
          size: 'max',
        }),
        seed,
        latencyMs,
        (commands, seed, latencyMs) =>
          World.run({ seed, latencyMs }, async (world) => {
            const cursor = new CursorWorld(world);
            const { reader, writer } = cursor;
            // One client names the last event it got, the other one never does.
            const clients = [new Client(cursor, 's', true), new Client(cursor, 's2', false)];
            await world.time.advance(50);
            for (const step of commands) {
              await cursor.carryOut(step);
              for (const client of clients) client.keepOpen();
            }
            cursor.heal();
            const healedAt = world.time.now;
            for (let n = 0; n < 32; n += 1) {
              if (n === 17 || n === 27) for (const node of [writer, reader]) world.publish(node, undefined);
              await world.time.advance(1_000);
              for (const client of clients) client.keepOpen();
            }

            expect(world.spinning).toBeUndefined();
            expect(reader.manager.stats()).toMatchObject({ lag: 0, backlogBytes: 0, attached: 2 });
            for (const client of clients) client.check(healedAt);
            expect(world.messages.filter(({ outcome }) => outcome === 'pending')).toEqual([]);
          }),
      ),
      { numRuns: 300 },
    );
  });
});

/** The numbers of everything that was stored for a session above the claim of its only stream. */
function storedFor(world: World, { session, claim }: Connection): number[] {
  const own = world.history.find(({ item }) => 'k' in item && item.k === 'c' && item.c === claim);
  return world
    .addressedTo(session)
    .filter(({ position }) => position > (own?.position ?? Number.POSITIVE_INFINITY))
    .map(numberOf);
}

function numberOf({ text }: HistoryEntry): number {
  return Number(/\d+/.exec(text ?? '')?.[0]);
}

/** A client that reconnects whenever its stream ends. */
class Client {
  readonly #cursor: CursorWorld;
  readonly #session: string;
  readonly #namesIds: boolean;
  readonly #connections: Connection[] = [];

  constructor(cursor: CursorWorld, session: string, namesIds: boolean) {
    this.#cursor = cursor;
    this.#session = session;
    this.#namesIds = namesIds;
    this.#open();
  }

  get #ended(): Connection[] {
    return this.#connections.filter(({ created, endedAt }) => created && endedAt !== undefined);
  }

  keepOpen(): void {
    const last = this.#connections.at(-1);
    if (last?.isOpen) return;
    this.#open();
  }

  #open(): void {
    const lastId = this.#namesIds ? this.#connections.findLast(({ lastId }) => lastId)?.lastId : undefined;
    this.#connections.push(new Connection(this.#cursor.reader, this.#session, lastId));
  }

  check(healedAt: number): void {
    const { world, reader, writer, damagedAt } = this.#cursor;
    const reports = lossesTold(reader);
    const frames = this.#connections.flatMap((connection) => connection.frames);
    const between = (times: readonly number[], from: number, to: number): boolean =>
      times.some((time) => time >= from && time <= to);

    const inDoubt = (time: number): boolean => damagedAt.some((from) => from <= time && !between(reports, from, time));

    const numbered = frames.filter((frame) => messageNumber(frame) !== undefined);
    for (const [index, next] of numbered.entries()) {
      const frame = numbered[index - 1];
      // From a damage to its report anything may be missing; at a report the stream begins anew.
      if (!frame || between(reports, frame.time, next.time) || between(damagedAt, 0, next.time)) continue;
      expect(missing(world, this.#session, frame, next), `between ${frame.id} and ${next.id}`).toEqual([]);
    }
    // Streams end when something was told since they were opened, and none does once all is well.
    for (const { openedAt, endedAt = 0 } of this.#ended) {
      const told = between(reports, openedAt, endedAt) || inDoubt(endedAt);
      expect(told, `a stream ended at ${endedAt} without a reason`).toBe(true);
      expect(endedAt).toBeLessThan(healedAt + 21_000);
    }
    // What was accepted after the last trouble arrives once, and in order.
    const late = world.messages.slice(-2);
    expect(late.map(({ outcome }) => outcome)).toEqual(['accepted', 'accepted']);
    expect(numbered.slice(-2).map(messageNumber)).toEqual(world.history.slice(-2).map(numberOf));
    if (damagedAt.length === 0) expect(reports).toEqual([]);
    // Never silence: an accepted message that did not arrive, or came twice, was preceded or followed by a report.
    const counts = new Map<number, number>();
    for (const frame of numbered)
      counts.set(messageNumber(frame) ?? 0, (counts.get(messageNumber(frame) ?? 0) ?? 0) + 1);
    const first = world.history.find(({ item }) => 'k' in item && item.k === 'c' && item.s === this.#session);
    for (const { number, to, outcome } of world.messages) {
      if (outcome !== 'accepted' || (to !== undefined && !to.includes(this.#session))) continue;
      const stored = world.history.find(({ text }) => text?.startsWith(`data: ${number} `));
      if (!stored || !first || stored.time < first.time || stored.position <= first.position) continue;
      // (A store that is exchanged and put back between two heartbeats of the reader is seen by the writer alone.)
      const told = [...reports, ...lossesTold(writer)];
      if (counts.get(number) !== 1) expect(told, `nothing was said about message ${number}`).not.toEqual([]);
    }
  }
}

/** When a process reported that something may be missing. */
function lossesTold({ reports }: TestNode): number[] {
  const codes = ['discontinuity', 'evicted', 'not-resumed'];
  return reports.filter(({ code }) => codes.includes(code)).map(({ time }) => time);
}

/** What was stored for a session between two frames of the same epoch that it got one after the other. */
function missing(world: World, session: string, frame: Frame, next: Frame): string[] {
  const [epoch = ''] = next.id?.split('.') ?? [];
  const [from, to] = [frame, next].map(({ id }) => parseEventId(id ?? '', epoch));
  if (from === undefined || to === undefined) return [];
  if (to <= from) return [`${next.id} after ${frame.id}`];
  return world
    .addressedTo(session)
    .filter((entry) => entry.epoch === epoch && entry.position > from && entry.position < to)
    .filter(({ time, lostAt }) => time <= next.time && (lostAt === undefined || lostAt > next.time))
    .map(({ position, text }) => `${position}: ${text}`);
}
