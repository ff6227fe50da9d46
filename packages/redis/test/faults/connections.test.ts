import { setTimeout as sleep } from 'node:timers/promises';
import { type RedisServer, startRedis, waitFor } from 'test-support';
import { isWhole, startsAnew } from 'test-support/fault-suites';
import { CLEAN, type Client, figure } from 'test-support/faults';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isReading, Rig } from './support/rig.ts';

let server: RedisServer;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(() => server.stop());

const kills: Record<string, (line: string) => boolean> = {
  reading: isReading,
  commanding: (line) => !isReading(line),
  any: () => true,
};

describe.concurrent('connections that are lost under load', () => {
  for (const [name, fits] of Object.entries(kills)) {
    it(`faults/client-kill-${name}: twenty times under load, nothing is lost, and nobody is called dead`, async () => {
      await using rig = Rig.on(server);
      const nodes = [rig.node(), rig.node(), rig.node()] as const;
      const clients = await rig.connected(9);
      const load = rig.load();
      let killed = 0;
      for (let round = 0; round < 20; round += 1) {
        // On a busy machine those of the round before may still be on their way back.
        await waitFor(async () => (await rig.connections()).filter(fits).length >= nodes.length);
        killed += await rig.kill(fits);
        await sleep(20 + (round % 5) * 30);
        expect(await nodes[round % 3]?.has(clients[round % 9]?.session ?? '')).toBe(true);
      }
      expect(killed).toBeGreaterThan(40);
      const [client] = clients as [Client];
      figure(`killed ${name}: next message through`, await rig.reaches(client, nodes[0]));
      await load.stop();
      await isWhole(rig, clients);
    });
  }

  for (const type of ['normal', 'pubsub']) {
    it(`faults/client-kill-type-${type}: a whole class of connections, as Sentinel ends it, twenty times`, async () => {
      await using own = await startRedis();
      await using rig = Rig.on(own);
      const nodes = [rig.node(), rig.node()] as const;
      const clients = await rig.connected(6);
      const load = rig.load();
      let killed = 0;
      for (let round = 0; round < 20; round += 1) {
        const isMeant = (line: string): boolean => isReading(line) === (type === 'pubsub');
        await waitFor(async () => (await rig.connections()).filter(isMeant).length >= nodes.length);
        killed += Number(await own.command('CLIENT', 'KILL', 'TYPE', type, 'SKIPME', 'yes'));
        await sleep(20 + (round % 5) * 30);
      }
      expect(killed).toBeGreaterThan(20);
      await rig.reaches(clients[0] as Client, nodes[1]);
      await load.stop();
      await isWhole(rig, clients);
    });
  }

  it('faults/script-flush: scripts that the server forgets under load are sent again, and nobody notices', async () => {
    await using rig = Rig.on(server);
    rig.node();
    rig.node();
    const clients = await rig.connected(6);
    const load = rig.load({ senders: 4 });
    for (let round = 0; round < 40; round += 1) {
      await rig.command('SCRIPT', 'FLUSH', round % 2 ? 'ASYNC' : 'SYNC');
      await sleep(15);
    }
    await load.stop();
    await isWhole(rig, clients);
    expect(rig.reportsBeside('configuration')).toEqual([]);
  });
});

describe.concurrent('reading that is refused', () => {
  it('faults/reading-refused: what the server allows no more is asked for ever more rarely, beats bring what comes, and it goes on', async () => {
    await using own = await startRedis();
    await using rig = Rig.on(own);
    const nodes = [rig.node({ heartbeatMs: 200 }), rig.node({ heartbeatMs: 200 })] as const;
    const clients = await rig.connected(4);
    const load = rig.load();
    await own.command('ACL', 'SETUSER', 'default', '-xread');
    const lost = (): number => rig.reportsBeside('configuration').length;
    await waitFor(() => lost() >= nodes.length);
    await sleep(3_000);
    expect(lost()).toBeLessThan(20 * nodes.length);
    await rig.reaches(clients[0] as Client, nodes[1]);
    await own.command('ACL', 'SETUSER', 'default', '+xread');
    await waitFor(async () => (await rig.connections()).filter((line) => line.includes('cmd=xread')).length === 2);
    await load.stop();
    expect(await rig.settled()).toMatchObject(CLEAN);
    expect(clients.map(({ line }) => line.state)).toEqual(clients.map(() => 'open'));
    expect(rig.reportsBeside('configuration', 'refused')).toEqual([]);
  });
});

describe.concurrent('an address that leads elsewhere', () => {
  it('faults/led-elsewhere: a reading connection that stays behind on the server that calls have left follows them', async () => {
    await using old = await startRedis();
    await using next = await startRedis({ settings: { replicaof: `${old.host} ${old.port}` } });
    await using rig = Rig.on(old);
    const { proxy, through } = await rig.proxy();
    const options = { ...through, heartbeatMs: 200 };
    const nodes = [rig.node(options), rig.node(options)] as const;
    await rig.connected(8);
    await waitFor(async () => (await next.info('slave_repl_offset')) === (await old.info('master_repl_offset')));
    await next.command('REPLICAOF', 'NO', 'ONE');
    const since = performance.now();
    proxy.leadTo(next);
    proxy.cut(({ labels }) => !labels.has('listener'));
    await startsAnew({ rig, nodes }, since);
    const reading = async (): Promise<number> => {
      const lines = String(await next.command('CLIENT', 'LIST')).split('\n');
      return lines.filter(isReading).length;
    };
    // What others send meanwhile comes with the next beat, and processes without a subscriber there seem to be gone.
    await waitFor(async () => (await reading()) === nodes.length, { timeoutMs: 20_000 });
    figure('led elsewhere: reading there after', performance.now() - since);
    expect(rig.reportsBeside(...rig.harmless, 'discontinuity', 'not-resumed')).toEqual([]);
  });
});

describe.concurrent('limits of the server on what it keeps for a slow reader', () => {
  it('faults/output-buffer: a reading connection that is ended for every larger answer still brings everything', async () => {
    await using own = await startRedis({ settings: { 'client-output-buffer-limit': 'pubsub 64kb 32kb 1' } });
    await using rig = Rig.on(own);
    const nodes = [rig.node(), rig.node()] as const;
    const clients = await rig.connected(4);
    const load = rig.load({ pauseMs: 1 });
    for (let i = 0; i < 20; i += 1) {
      // Two of these are larger than a connection may hold back.
      await Promise.all([1, 2, 3].map(() => rig.publish(nodes[i % 2 ? 0 : 1], undefined, 'x'.repeat(60_000))));
    }
    await load.stop();
    await isWhole(rig, clients);
    figure(
      'output buffer: connections that were ended',
      own.log.match(/overcoming of output buffer/g)?.length ?? 0,
      '',
    );
    // And it does not go on and on once there is nothing to read.
    const isQuiet = async (): Promise<boolean> => {
      const began = own.log.length;
      await sleep(500);
      return own.log.length === began;
    };
    await waitFor(isQuiet, { message: 'the server to end no further connection' });
  });
});
