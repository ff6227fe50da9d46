import { setTimeout as sleep } from 'node:timers/promises';
import { Cluster } from 'ioredis';
import { deferred, type RedisCluster, type RedisServer, startRedisCluster, waitFor } from 'test-support';
import { startsAnew } from 'test-support/fault-suites';
import { figure } from 'test-support/faults';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ClientRig } from './support/client-rig.ts';
import { HARMLESS, KEYS } from './support/rig.ts';

let cluster: RedisCluster;
beforeAll(async () => {
  cluster = await startRedisCluster({ masters: 3 });
});
afterAll(() => cluster.stop());

const makeClient = ({ hosts } = cluster): Cluster => {
  const client = new Cluster(hosts);
  client.on('error', () => undefined);
  return client;
};

const idOf = async (server: RedisServer): Promise<string> => String(await server.command('CLUSTER', 'MYID'));

/** The master that serves the keys of the namespace, and another one. */
async function mastersOf(slot: number): Promise<[RedisServer, RedisServer]> {
  for (const server of cluster.nodes) {
    const count = await server.command('CLUSTER', 'COUNTKEYSINSLOT', slot);
    const other = cluster.nodes.find((node) => node !== server);
    if (Number(count) > 0 && other) return [server, other];
  }
  throw new Error('nobody holds the keys');
}

/** What `redis-cli --cluster reshard` does with one slot. */
async function moveSlot(slot: number, source: RedisServer, target: RedisServer, pauseMs: number): Promise<void> {
  const [from, to] = await Promise.all([idOf(source), idOf(target)]);
  await target.command('CLUSTER', 'SETSLOT', slot, 'IMPORTING', from);
  await source.command('CLUSTER', 'SETSLOT', slot, 'MIGRATING', to);
  for (;;) {
    const keys = (await source.command('CLUSTER', 'GETKEYSINSLOT', slot, 1)) as string[];
    if (keys.length === 0) break;
    await source.command('MIGRATE', target.host, target.port, '', 0, 5_000, 'KEYS', ...keys);
    await sleep(pauseMs);
  }
  for (const node of [target, source, ...cluster.nodes]) await node.command('CLUSTER', 'SETSLOT', slot, 'NODE', to);
}

describe.concurrent('a Cluster', () => {
  it('faults/cluster-slot-moved: a log that moves to another master under load is said to have moved, and goes on there', async () => {
    await using rig = new ClientRig(() => makeClient());
    const nodes = [rig.node({ heartbeatMs: 200 }), rig.node({ heartbeatMs: 200 })] as const;
    const clients = await rig.connected(8);
    const slot = Number(await cluster.nodes[0]?.command('CLUSTER', 'KEYSLOT', KEYS.head));
    for (const pauseMs of [0, 50]) {
      const before = nodes.map(({ reports }) => reports.length);
      await using load = rig.load();
      await sleep(200);
      const [source, target] = await mastersOf(slot);
      const since = performance.now();
      await moveSlot(slot, source, target, pauseMs);
      await waitFor(() => clients.every(({ line }) => line.state !== 'open'));
      await load.stop();
      figure('slot moved: all streams ended after', performance.now() - since);
      expect(Object.keys(rig.ledger.refusals).filter((code) => code !== 'discontinuity')).toEqual([]);
      if (pauseMs === 0) {
        await startsAnew({ rig, nodes }, since);
        // For the second time.
        await Promise.all(clients.map((client, i) => client.connect(nodes[i % 2 ? 1 : 0])));
      } else {
        for (const [i, { reports }] of nodes.entries()) {
          expect(reports.slice(before[i]).filter((code) => code === 'discontinuity')).toHaveLength(1);
        }
      }
    }
    expect(rig.reportsBeside(...HARMLESS, 'discontinuity', 'not-resumed')).toEqual([]);
  });

  for (const way of ['planned', 'killed']) {
    it(`faults/cluster-fail-over-${way}: what replication may have lost is said once, streams end once, and clients go on`, async () => {
      await using own = await startRedisCluster({ masters: 3, replicasPerMaster: 1 });
      await using rig = new ClientRig(() => {
        const client = new Cluster(own.hosts);
        client.on('error', () => undefined);
        return client;
      });
      const nodes = [rig.node({ heartbeatMs: 200 }), rig.node({ heartbeatMs: 200 })] as const;
      const clients = await rig.connected(8);
      const slot = Number(await own.nodes[0]?.command('CLUSTER', 'KEYSLOT', KEYS.head));
      const index = Math.floor((slot * 3) / 16_384);
      const [master, replica] = [own.nodes[index], own.nodes[index + 3]] as [RedisServer, RedisServer];
      await using load = rig.load();
      await sleep(300);
      const since = performance.now();
      if (way === 'killed') await master.kill();
      // The servers give it up after five seconds without a word; an operator asks again.
      let askedAt = Number.NEGATIVE_INFINITY;
      const isMaster = async (): Promise<boolean> => {
        if (way === 'planned' && performance.now() - askedAt > 6_000) {
          askedAt = performance.now();
          await replica.command('CLUSTER', 'FAILOVER');
        }
        return (await replica.info('role')) === 'master';
      };
      await waitFor(isMaster, { timeoutMs: 30_000 });
      figure(`cluster, ${way}: another master after`, performance.now() - since);
      await waitFor(() => clients.every(({ line }) => line.state !== 'open'), { timeoutMs: 20_000 });
      await load.stop();
      await startsAnew({ rig, nodes }, since);
      expect(Object.keys(rig.ledger.refusals).filter((code) => !['discontinuity', 'timeout'].includes(code))).toEqual(
        [],
      );
      expect(rig.reportsBeside(...HARMLESS, 'discontinuity', 'not-resumed')).toEqual([]);
    });
  }

  it('faults/cluster-away: while no master answers every call ends by its deadline, and so does close', async () => {
    await using own = await startRedisCluster({ masters: 3 });
    const client = new Cluster(own.hosts);
    client.on('error', () => undefined);
    const rig = new ClientRig(() => client);
    const node = rig.node({ heartbeatMs: 200, sendTimeoutMs: 3_000 });
    await rig.connected(2, [node]);
    for (const server of own.nodes) await server.kill();
    await waitFor(() => node.reports.includes('unavailable') || node.reports.includes('timeout'));
    const began = performance.now();
    const calls = [node.publish(['a'], 'data: x\n\n'), node.has('a')];
    for (const call of await Promise.allSettled(calls)) expect(call.status).toBe('rejected');
    await node.close();
    figure('cluster away: calls and close took', performance.now() - began);
    expect(performance.now() - began).toBeLessThan(20_000);
    client.disconnect();
  });

  it('faults/cluster-frozen: a Cluster that freezes while it is asked where the log is holds up neither close nor what follows', async () => {
    await using own = await startRedisCluster({ masters: 3 });
    const client = makeClient(own);
    const [asked, isAsked] = [client.call.bind(client), deferred()];
    const freeze = (): void => {
      for (const server of own.nodes) server.freeze();
    };
    const rig = new ClientRig(() => client);
    const [node, other] = [rig.node({ sendTimeoutMs: 3_000 }), rig.node({ sendTimeoutMs: 3_000 })];
    await rig.connected(2, [node, other]);
    Object.assign(client, {
      call: (command: string, ...values: (string | number)[]) => {
        if (String(values[0]).includes('KEYSLOT')) {
          freeze();
          isAsked.resolve();
        }
        return asked(command, ...values);
      },
    });
    const slot = Number(await own.nodes[0]?.command('CLUSTER', 'KEYSLOT', KEYS.head));
    await own.nodes[Math.floor((slot * 3) / 16_384)]?.command('CLIENT', 'KILL', 'TYPE', 'pubsub');
    await isAsked.promise;
    const began = performance.now();
    await node.close();
    expect(performance.now() - began).toBeLessThan(15_000);
    for (const server of own.nodes) server.thaw();
    await other.close();
    client.disconnect();
  });
});
