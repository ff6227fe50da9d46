import { setTimeout as sleep } from 'node:timers/promises';
import { startRedis, waitFor } from 'test-support';
import { CLEAN, type Client, figure, move, Storm, writeMessage } from 'test-support/faults';
import { describe, expect, it } from 'vitest';
import { HARMLESS, KEYS, Rig } from './support/rig.ts';

const OPTIONS = { heartbeatMs: 200, sessionTimeoutMs: 1_000, resumeWindowMs: 1_000, sendTimeoutMs: 1_000 };

describe.concurrent('a server whose memory is full', () => {
  it('faults/memory-full: refuses messages with the reason, calls nobody dead, trims, and goes on when there is memory', async () => {
    await using server = await startRedis();
    await using rig = Rig.on(server);
    const nodes = [rig.node(OPTIONS), rig.node(OPTIONS)] as const;
    const clients = await rig.connected(6);
    for (let i = 0; i < 20; i += 1) await rig.publish(nodes[i % 2 ? 0 : 1], undefined, 'x'.repeat(10_000));
    await rig.command('CONFIG', 'SET', 'maxmemory', 1_000_000);
    const refused = nodes[0].publish(undefined, writeMessage('refused'));
    await expect(refused).rejects.toMatchObject({
      code: 'timeout',
      cause: { code: 'unavailable', message: expect.stringContaining('maxmemory') },
    });
    // For several times as long as a process without beats counts as alive.
    for (let i = 0; i < 15; i += 1) {
      await sleep(200);
      for (const { session } of clients) expect(await nodes[i % 2]?.has(session)).toBe(true);
    }
    await expect(nodes[0].open('another').created).rejects.toMatchObject({ code: 'timeout' });
    // The log has grown older than it is kept, and goes all the same.
    await waitFor(async () => (await rig.head()).trimmed > 0);
    await rig.command('CONFIG', 'SET', 'maxmemory', 0);
    const back = performance.now();
    await rig.reaches(clients[0] as Client, nodes[1]);
    figure('memory full: next message through after there is some', performance.now() - back);
    expect(await rig.settled()).toMatchObject(CLEAN);
    for (const { line } of clients) expect(line.state).toBe('open');
    for (const node of nodes) expect(await node.stats()).toMatchObject({ discontinuities: 0 });
    expect(rig.reportsBeside(...HARMLESS)).toEqual([]);
  });

  it('faults/memory-short: whatever was accepted while it came and went is there, under load and while sessions move', async () => {
    await using server = await startRedis();
    await using rig = Rig.on(server);
    // Who moves while there is no memory waits for some, at times for longer than a log of two seconds reaches back.
    const options = { ...OPTIONS, sendTimeoutMs: 10_000, resumeWindowMs: 60_000 };
    const nodes = [rig.node(options), rig.node(options)] as const;
    const clients = await rig.connected(6);
    const load = rig.load();
    await using storm = new Storm();
    let moves = 0;
    for (const [i, client] of clients.entries()) {
      storm.repeat(i, 40, async (random) => {
        await move(client, nodes, random);
        moves += 1;
      });
    }
    for (let i = 0; i < 10; i += 1) {
      await rig.command('CONFIG', 'SET', 'maxmemory', 1_000_000);
      await sleep(120);
      await rig.command('CONFIG', 'SET', 'maxmemory', 0);
      await sleep(60);
    }
    await waitFor(() => moves > 20);
    await storm.stop();
    await rig.reaches(clients[0] as Client, nodes[1]);
    await load.stop();
    expect(await rig.settled()).toMatchObject({ ...CLEAN, repeated: [] });
    expect(rig.ledger.refusals).toEqual({});
    expect(rig.reportsBeside(...HARMLESS)).toEqual([]);
    for (const { line } of clients) expect(line.state).toBe('open');
  });

  it('faults/evicted: where keys may be evicted, that is reported, and a client is told that it may have missed something', async () => {
    await using server = await startRedis({ settings: { 'maxmemory-policy': 'allkeys-random' } });
    await using rig = Rig.on(server);
    const nodes = [rig.node(OPTIONS), rig.node(OPTIONS)] as const;
    const clients = await rig.connected(4);
    expect(await rig.command('EXISTS', KEYS.claims)).toBe(1);
    await rig.command('CONFIG', 'SET', 'maxmemory', 1_000_000);
    // It evicts all that there is, and refuses nevertheless.
    await rig.command('SET', 'another', 'x').catch(() => undefined);
    await waitFor(() => clients.every(({ line }) => line.state !== 'open'));
    await sleep(1_000);
    await rig.command('CONFIG', 'SET', 'maxmemory', 0);
    // A log that vanishes at every look is said to, again and again, but not all the time.
    for (const { reports } of nodes) expect(reports.length).toBeLessThan(50);
    for (const { reports } of nodes) await waitFor(() => reports.some((code) => /discontinuity|evicted/.test(code)));
    const after = rig.again();
    const client = after.client('session-1');
    await waitFor(() => client.connect(nodes[0], { lastEventId: clients[0]?.lastEventId }).then(() => true));
    await waitFor(() => client.hints === 3 || client.line.state !== 'open');
    await after.reaches(client, nodes[1]);
  });
});
