import { type RedisServer, waitFor } from 'test-support';
import { lostLogSuite, startsAnew, startTwo } from 'test-support/fault-suites';
import { CLEAN, type Client } from 'test-support/faults';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RedisSubscriptionManager } from '../../src/index.ts';
import { KEYS, Rig, startRigServer } from './support/rig.ts';

let server: RedisServer;
beforeAll(async () => {
  server = await startRigServer();
});
afterAll(() => server.stop());

lostLogSuite({
  makeRig: () => Rig.on(server),
  wipes: {
    all: (rig) => rig.command('FLUSHDB'),
    head: (rig) => rig.command('DEL', KEYS.head),
    log: (rig) => rig.command('DEL', KEYS.log),
    claims: (rig) => rig.command('DEL', KEYS.claims),
    producers: (rig) => rig.command('DEL', KEYS.producers, KEYS.answers),
  },
  makeSubscriptions: ({ url }, options) => new RedisSubscriptionManager({ url, ...options }),
});

describe.concurrent('single keys that are wiped', () => {
  it('faults/wiped-claims-quiet: is noticed though nobody claims or sends, before a client can come back to less than it had', async () => {
    const system = await startTwo(Rig.on(server));
    await using rig = system.rig;
    const since = performance.now();
    await rig.command('DEL', KEYS.claims);
    await startsAnew(system, since);
  });

  it('faults/wiped-nodes: processes that nobody knows any more say so, and go on under load', async () => {
    const { rig, nodes } = await startTwo(Rig.on(server));
    await using _ = rig;
    await rig.command('DEL', KEYS.nodes);
    for (const { reports } of nodes) await waitFor(() => reports.includes('evicted'));
    await waitFor(() => rig.clients.every(({ line }) => line.state !== 'open'));
    const after = rig.again();
    for (const [i, old] of rig.clients.entries()) await after.client(old.session).connect(nodes[i % 2 ? 1 : 0]);
    for (const [i, client] of after.clients.entries()) await after.reaches(client, nodes[i % 2 ? 0 : 1]);
    for (const { reports } of nodes) expect(reports.filter((code) => code === 'evicted')).toHaveLength(1);
  });
});

describe.concurrent('a log that is wiped while a stream ends', () => {
  it('faults/wiped-then-left: a stream that ends before its process has heard of it leaves word for the next one', async () => {
    await using rig = Rig.on(server);
    const nodes = [rig.node(), rig.node()] as const;
    const [client] = (await rig.connected(1, [nodes[0]])) as [Client];
    await rig.reaches(client, nodes[1]);
    await rig.publish(nodes[1], [client.session]);
    await rig.command('FLUSHDB');
    await client.disconnect();
    const next = rig.again().client(client.session);
    await next.connect(nodes[1]);
    await waitFor(() => next.hints === 3);
    expect(next.line.state).toBe('open');
  });
});

describe.concurrent('a log that is set back', () => {
  for (const regrown of [false, true]) {
    const name = regrown ? 'regrown' : 'shorter';
    it(`faults/rolled-back-${name}: keys of an hour ago are noticed, though the server is the same`, async () => {
      const system = await startTwo(Rig.on(server));
      await using rig = system.rig;
      const [node, other] = system.nodes;
      const names = Object.values(KEYS).filter((key) => key !== KEYS.live);
      for (const key of names) await rig.command('COPY', key, `${key}:copy`);
      for (let i = 0; i < 20; i += 1) await rig.publish(node, undefined);
      expect(await rig.settled()).toMatchObject(CLEAN);
      const since = performance.now();
      const back = names.map((key) => `redis.call('DEL', '${key}') redis.call('COPY', '${key}:copy', '${key}')`);
      await rig.command('EVAL', back.join(' '), 0);
      // Somebody goes on from there at once: by the time anybody looks, the log may be longer than before.
      const more = Array.from({ length: 30 }, () => rig.publish(regrown ? other : node, undefined).catch(() => ''));
      if (regrown) await Promise.all(more);
      await startsAnew(system, since, regrown ? 2 : 1);
    });
  }
});
