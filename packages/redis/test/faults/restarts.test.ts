import { setTimeout as sleep } from 'node:timers/promises';
import { type RedisServer, startRedis, waitFor } from 'test-support';
import { FROZEN, outagesSuite, startsAnew, startTwo } from 'test-support/fault-suites';
import { CLEAN, type Client } from 'test-support/faults';
import { describe, expect, it } from 'vitest';
import { BACKEND, HARMLESS, Rig } from './support/rig.ts';

const AOF = { appendonly: 'yes', appendfsync: 'always' };

describe.concurrent('a server that is restarted under load', () => {
  const restarts: Record<string, { settings?: Record<string, string>; restart(server: RedisServer): Promise<void> }> = {
    kept: { settings: AOF, restart: (server) => server.restart({ keepData: true }) },
    crashed: {
      settings: AOF,
      restart: async (server) => {
        await server.kill();
        await server.start();
      },
    },
    lost: { restart: (server) => server.restart({ keepData: false }) },
  };
  for (const [name, { settings, restart }] of Object.entries(restarts)) {
    it(`faults/restart-${name}: is reported once, ends each stream once, and the next one is live`, async () => {
      await using server = await startRedis({ settings });
      const system = await startTwo(Rig.on(server));
      await using rig = system.rig;
      await using load = rig.load();
      await sleep(200);
      await restart(server);
      const since = performance.now();
      await waitFor(() => rig.clients.every(({ line }) => line.state !== 'open'));
      await load.stop();
      await startsAnew(system, since);
      expect(Object.keys(rig.ledger.refusals).filter((code) => code !== 'discontinuity')).toEqual([]);
      expect(rig.reportsBeside(...HARMLESS, 'discontinuity', 'not-resumed')).toEqual([]);
    });
  }

  it('faults/restart-first: a lost message is noticed although it was the first of its log, and nobody sends any more', async () => {
    await using server = await startRedis();
    await using rig = Rig.on(server);
    const { proxy, url } = await rig.proxy();
    // It hears nothing, and reads nothing: what it accepts is known to nobody else.
    const node = rig.node({ url, heartbeatMs: 60_000, sessionTimeoutMs: 600_000 });
    expect(await node.has('nobody')).toBe(false);
    await server.command('SAVE');
    const epoch = await rig.epoch();
    for (const connection of proxy.connections) if (connection.labels.has('listener')) connection.blackhole('down');
    await rig.publish(node, undefined);
    await server.kill();
    await server.start();
    proxy.cutAll();
    await waitFor(async () => (await rig.epoch()) !== epoch);
    await waitFor(() => node.reports.includes('discontinuity'));
  });

  it('faults/restored: an older copy of the data is reported, also where the log has outgrown it since', async () => {
    await using server = await startRedis({ settings: AOF });
    const system = await startTwo(Rig.on(server));
    await using rig = system.rig;
    const [node] = system.nodes;
    await using copy = await startRedis({ settings: { replicaof: `${server.host} ${server.port}` } });
    await waitFor(async () => (await copy.info('master_link_status')) === 'up');
    await copy.command('REPLICAOF', 'NO', 'ONE');
    for (let i = 0; i < 20; i += 1) await rig.publish(node, undefined);
    expect(await rig.settled()).toMatchObject(CLEAN);
    // The server becomes what it was when the copy was taken, then its own master again.
    await server.command('REPLICAOF', copy.host, copy.port);
    await waitFor(async () => (await server.info('master_link_status')) === 'up');
    await server.command('REPLICAOF', 'NO', 'ONE');
    await startsAnew(system, performance.now());
  });

  it('faults/first-replica: a server that gets a replica, and loses it, goes on as before', async () => {
    await using server = await startRedis({ settings: { 'repl-backlog-ttl': 1 } });
    await using rig = Rig.on(server);
    const nodes = [rig.node(), rig.node()] as const;
    const clients = await rig.connected(6);
    const load = rig.load();
    const before = await server.info('master_replid');
    {
      await using replica = await startRedis({ settings: { replicaof: `${server.host} ${server.port}` } });
      await waitFor(async () => (await replica.info('master_link_status')) === 'up');
    }
    await waitFor(async () => (await server.info('repl_backlog_active')) === '0');
    expect(await server.info('master_replid')).not.toBe(before);
    // A new connection looks at the server again.
    await rig.kill();
    await rig.reaches(clients[0] as Client, nodes[1]);
    await load.stop();
    expect(await rig.settled()).toMatchObject(CLEAN);
    expect(rig.ledger.refusals).toEqual({});
    expect(rig.reportsBeside(...HARMLESS)).toEqual([]);
    for (const { line } of clients) expect(line.state).toBe('open');
  });
});

// What is restarted has lost something: Redis does not confirm what it has written.
outagesSuite(BACKEND, { frozen: FROZEN });
