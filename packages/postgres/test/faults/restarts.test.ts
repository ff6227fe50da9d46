import { setTimeout as sleep } from 'node:timers/promises';
import { type PostgresServer, startPostgres, waitFor } from 'test-support';
import { CLEAN, type Client, figure, OUTAGE_CODES } from 'test-support/faults';
import { describe, expect, it } from 'vitest';
import { Rig } from './support/rig.ts';

/** Runs a restart of some kind three times under load: what was accepted must arrive, on the streams that were open. */
async function survives(name: string, restart: (server: PostgresServer) => Promise<void>): Promise<void> {
  await using server = await startPostgres();
  await using rig = await Rig.on(server);
  const nodes = [rig.node(), rig.node()] as const;
  const clients = await rig.connected(8);
  const load = rig.load();
  for (let round = 0; round < 3; round += 1) {
    await sleep(200);
    await restart(server);
    const up = performance.now();
    const [client] = clients as [Client];
    await rig.reaches(client, nodes[1]);
    figure(`${name}: next message through after the server is up`, performance.now() - up);
  }
  await load.stop();
  expect(rig.ledger.accepted).toBeGreaterThan(50);
  expect(await rig.settled()).toMatchObject(CLEAN);
  expect(rig.ledger.refusals).toEqual({});
  expect(rig.reportsBeside(...OUTAGE_CODES)).toEqual([]);
  for (const { line } of clients) expect(line.state).toBe('open');
  for (const node of nodes) expect(await node.stats()).toMatchObject({ discontinuities: 0, notResumed: 0 });
}

describe.concurrent('a server that is restarted under load', () => {
  it('faults/restart-clean: an orderly restart loses nothing and ends no stream', async () => {
    await survives('orderly restart', (server) => server.restart());
  });

  it('faults/restart-crash-commit: a crash loses nothing that was accepted, and is no discontinuity', async () => {
    await survives('crash', (server) => server.crashRestart());
  });

  it('faults/restart-crash-async: where commits are not awaited, a crash is reported and streams end once', async () => {
    await using server = await startPostgres({ settings: { wal_writer_delay: '10s' } });
    await using rig = await Rig.on(server);
    const nodes = [rig.node({ durability: 'async' }), rig.node({ durability: 'async' })] as const;
    const clients = await rig.connected(6);
    const load = rig.load();
    await sleep(300);
    await server.crashRestart();
    await waitFor(() => clients.every(({ line }) => line.state !== 'open'));
    for (const { reports } of nodes) await waitFor(() => reports.includes('discontinuity'));
    await load.stop();
    // Each of them was told once, and what follows is whole again.
    const after = rig.again();
    const again = await Promise.all(
      clients.map(async ({ session }, i) => {
        const client = after.client(session);
        await client.connect(i % 2 ? nodes[0] : nodes[1]);
        return client;
      }),
    );
    await using more = after.load({ nodes });
    await waitFor(() => after.ledger.accepted > 100);
    await more.stop();
    expect(await after.settled()).toMatchObject(CLEAN);
    for (const { line } of again) expect(line.state).toBe('open');
    for (const node of nodes) expect((await node.stats()).discontinuities).toBe(1);
    // Messages that were on their way when the log ended are refused, not lost.
    expect(Object.keys(rig.ledger.refusals).filter((code) => code !== 'discontinuity')).toEqual([]);
    expect(rig.reportsBeside(...OUTAGE_CODES, 'discontinuity', 'not-resumed')).toEqual([]);
  });

  it('faults/restart-crash-async-idle: a lost tail that nobody had read is reported, though nobody sends any more', async () => {
    await using server = await startPostgres({ settings: { wal_writer_delay: '10s' } });
    await using rig = await Rig.on(server);
    const { proxy, url } = await rig.proxy();
    // It hears nothing, and reads nothing: what it accepts is known to nobody else.
    const node = rig.node({
      durability: 'async',
      connectionString: url,
      heartbeatMs: 60_000,
      sessionTimeoutMs: 600_000,
    });
    const client = rig.client();
    await client.connect(node);
    await rig.reaches(client, node);
    await server.query('checkpoint');
    for (const connection of proxy.connections) if (connection.labels.has('listener')) connection.blackhole('down');
    await rig.publish(node, [client.session]);
    await server.crashRestart();
    proxy.cutAll();
    await waitFor(() => node.reports.includes('discontinuity'));
    await waitFor(() => client.line.state !== 'open');
    await client.connect(node);
    await rig.reaches(client, node);
    expect(await node.stats()).toMatchObject({ discontinuities: 1 });
  });

  it('faults/restart-crash-async-first: the same when the lost message was the first of its log', async () => {
    await using server = await startPostgres({ settings: { wal_writer_delay: '10s' } });
    await using rig = await Rig.on(server);
    const { proxy, url } = await rig.proxy();
    const node = rig.node({
      durability: 'async',
      connectionString: url,
      heartbeatMs: 60_000,
      sessionTimeoutMs: 600_000,
    });
    // Opens the log without writing into it.
    expect(await node.has('nobody')).toBe(false);
    await server.query('checkpoint');
    for (const connection of proxy.connections) if (connection.labels.has('listener')) connection.blackhole('down');
    await rig.publish(node, undefined);
    await server.crashRestart();
    proxy.cutAll();
    await waitFor(async () => {
      const [head] = await rig.query<{ pos: string }>('select pos::text from tmcp_sessions_head');
      return head?.pos === '1' || node.reports.includes('discontinuity');
    });
  });
});
