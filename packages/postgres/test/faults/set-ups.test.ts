import { setTimeout as sleep } from 'node:timers/promises';
import { type PostgresServer, pgBouncer, startPgBouncer, startPostgres, waitFor } from 'test-support';
import { CLEAN, type Client, figure, OUTAGE_CODES, type TestNode } from 'test-support/faults';
import { describeWith } from 'test-support/vitest';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Rig } from './support/rig.ts';

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server.stop());

/** Moves every client a few times under load, on and between nodes, with and without an id. */
async function movesAbout(rig: Rig, nodes: readonly TestNode[], rounds: number): Promise<void> {
  for (let round = 0; round < rounds; round += 1) {
    await Promise.all(
      rig.clients.map((client, i) =>
        client.connect(nodes[(i + round) % nodes.length] as TestNode, { resume: (i + round) % 2 === 0 }),
      ),
    );
    await sleep(50);
  }
}

/** The middle one of nine times from `publish` to arrival. */
async function medianDelay(rig: Rig, client: Client, from: TestNode): Promise<number> {
  const delays: number[] = [];
  for (let i = 0; i < 9; i += 1) delays.push(await rig.reaches(client, from));
  return delays.sort((a, b) => a - b)[4] ?? Number.NaN;
}

describeWith(pgBouncer, 'behind a transaction pooler', () => {
  it.concurrent('faults/pooler-polling: without a direct connection it is slower, reported once, and lossless', async () => {
    const rig = await Rig.on(server);
    await using pooler = await startPgBouncer({ url: rig.url, poolSize: 8 });
    const nodes = [rig.node({ connectionString: pooler.url }), rig.node({ connectionString: pooler.url })] as const;
    const clients = await rig.connected(8);
    const load = rig.load();
    await movesAbout(rig, nodes, 3);
    await server.terminate(`datname = '${new URL(rig.url).pathname.slice(1)}'`);
    await movesAbout(rig, nodes, 3);
    await load.stop();
    expect(await rig.settled()).toMatchObject(CLEAN);
    expect(rig.ledger.refusals).toEqual({});
    expect(rig.reportsBeside(...OUTAGE_CODES, 'configuration')).toEqual([]);
    for (const { reports } of nodes) expect(reports.filter((code) => code === 'configuration')).toHaveLength(1);
    figure('pooler, polling: delay', await medianDelay(rig, clients[0] as Client, nodes[1]));
    await rig.close();
  });

  it.concurrent('faults/pooler-direct: with "listenConnectionString" it is as fast as without a pooler', async () => {
    const rig = await Rig.on(server);
    await using pooler = await startPgBouncer({ url: rig.url, poolSize: 8 });
    const options = { connectionString: pooler.url, listenConnectionString: rig.url };
    const nodes = [rig.node(options), rig.node(options)] as const;
    const clients = await rig.connected(8);
    const load = rig.load();
    await movesAbout(rig, nodes, 3);
    await server.terminate(`datname = '${new URL(rig.url).pathname.slice(1)}'`);
    await movesAbout(rig, nodes, 3);
    await load.stop();
    expect(await rig.settled()).toMatchObject(CLEAN);
    expect(rig.ledger.refusals).toEqual({});
    expect(rig.reportsBeside(...OUTAGE_CODES)).toEqual([]);
    // Faster than the shortest pause between two polls.
    const isFast = async (): Promise<boolean> => {
      const delay = await medianDelay(rig, clients[0] as Client, nodes[1]);
      figure('pooler, direct listener: delay', delay);
      return delay < 100;
    };
    await waitFor(isFast, { timeoutMs: 20_000 });
    await rig.close();
  });
});

describe.concurrent('a listening connection that is slow once', () => {
  it('faults/slow-reconnect: is not taken for a pooler because its first notification was late', async () => {
    await using rig = await Rig.on(server);
    const { proxy, url } = await rig.proxy();
    const node = rig.node({ listenConnectionString: url });
    const [client] = (await rig.connected(1)) as [Client];
    // From its LISTEN on it is slower than the patience of the self-test, until it tries again.
    let listens = 0;
    proxy.label('slow', (chunk) => {
      if (!/^.{0,8}listen "/is.test(chunk.toString('latin1'))) return false;
      listens += 1;
      proxy.delay(listens === 1 ? 2_200 : 0);
      return true;
    });
    proxy.cut(({ labels }) => labels.has('listener'));
    await waitFor(() => listens > 1, { timeoutMs: 20_000 });
    await rig.reaches(client, node);
    await waitFor(async () => (await medianDelay(rig, client, node)) < 100);
    expect(rig.reportsBeside(...OUTAGE_CODES)).toEqual([]);
  });
});

describe.concurrent('a default isolation level that is not READ COMMITTED', () => {
  for (const level of ['repeatable read', 'serializable']) {
    it(`faults/isolation-${level.replace(' ', '-')}: several producers, readers and moves, nothing starves or is lost`, async () => {
      await using rig = await Rig.on(server);
      const name = new URL(rig.url).pathname.slice(1);
      await server.query(`alter database "${name}" set default_transaction_isolation = '${level}'`);
      const nodes = [rig.node({ sendTimeoutMs: 4_000 }), rig.node(), rig.node()] as const;
      await rig.connected(9);
      const load = rig.load({ senders: 4, pauseMs: 1 });
      await movesAbout(rig, nodes, 6);
      await waitFor(() => rig.ledger.accepted > 500);
      await load.stop();
      expect(await rig.settled()).toMatchObject(CLEAN);
      expect(rig.ledger.refusals).toEqual({});
      expect(rig.reportsBeside()).toEqual([]);
    });
  }
});
