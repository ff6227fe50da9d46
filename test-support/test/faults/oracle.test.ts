import { describe, expect, it } from 'vitest';
import { Client, type Frame, judge, Ledger, type Line, type TestNode } from '../../src/faults/index.ts';

const CLEAN = { lost: [], twice: [], disordered: [], strange: [], repeated: [] };

/** Five accepted messages for a client, and the streams on which it got some of them: labels by position. */
async function judged(streams: readonly Record<number, string>[], { mayRepeat = false } = {}): Promise<unknown> {
  const ledger = new Ledger();
  const client = new Client(ledger, 'a');
  const early = await ledger.sender().send(['a'], async () => undefined);
  const frames = streams.map((stream) =>
    Object.entries(stream).map(([position, label]): Frame => ({ id: `e.${Number(position).toString(36)}`, label })),
  );
  const lines = frames.map((list) => ({ created: Promise.resolve(), frames: list, state: 'open' }) as unknown as Line);
  const node = { open: () => lines.shift() } as unknown as TestNode;
  await client.connect(node);
  const sender = ledger.sender();
  for (let i = 0; i < 5; i += 1) await sender.send(['a', 'b'], async () => undefined);
  await sender.send(['b'], async () => undefined);
  await sender.send(['a'], async () => Promise.reject(Object.assign(new Error('maybe'), { code: 'timeout' })));
  for (let i = 1; i < streams.length; i += 1) await client.connect(node, { mayRepeat });
  expect(early.label).toBe('s1:1');
  return judge(ledger, [client]);
}

const ALL = { 1: 's2:1', 2: 's2:2', 3: 's2:3', 4: 's2:4', 5: 's2:5' };

describe('the oracle of the fault tests', () => {
  it('faults/oracle-clean: finds no fault with what is right, whether or not a refused message came', async () => {
    expect(await judged([ALL])).toEqual(CLEAN);
    expect(
      await judged([
        { 1: 's2:1', 2: 's2:2' },
        { 3: 's2:3', 4: 's2:4', 5: 's2:5', 7: 's2:7' },
      ]),
    ).toEqual(CLEAN);
    expect(await judged([{ ...ALL, 6: 'hint' }])).toEqual(CLEAN);
  });

  it('faults/oracle-finds: names what is lost, comes twice, out of order, or is not meant for the session', async () => {
    const { 3: _, ...gap } = ALL;
    expect(await judged([gap])).toEqual({ ...CLEAN, lost: ['a s2:3'] });
    expect(await judged([ALL, { 5: 's2:5' }])).toMatchObject({ twice: ['a s2:5 at e.5'] });
    const late = ['s2:4 at e.4 was sent after a later one'];
    expect(await judged([{ ...gap, 6: 's2:3' }])).toEqual({ ...CLEAN, disordered: late });
    expect(await judged([gap, { 3: 's2:3' }])).toMatchObject({ disordered: ['a s2:3 at e.3 after a later one'] });
    expect(await judged([{ ...ALL, 6: 's2:6' }])).toMatchObject({ strange: ['a s2:6'] });
    expect(await judged([{ ...ALL, 6: 's1:1' }])).toMatchObject({ strange: ['a s1:1'] });
    expect(await judged([{ ...ALL, 6: 'damaged: x' }])).toMatchObject({ strange: ['a damaged: x'] });
    expect(await judged([{ ...ALL, 6: 's2:5' }])).toMatchObject({ strange: ['s2:5 at e.5 and e.6'] });
  });

  it('faults/oracle-repeats: allows a stream without an id to begin again, not to skip', async () => {
    const again = { 4: 's2:4', 5: 's2:5' };
    const repeated = [4, 5].map((position) => ({ session: 'a', position, stream: 1 }));
    expect(await judged([ALL, again], { mayRepeat: true })).toEqual({ ...CLEAN, repeated });
    const { 3: _, ...gap } = ALL;
    expect(await judged([gap, again], { mayRepeat: true })).toMatchObject({ lost: ['a s2:3'] });
  });
});
