import { setTimeout as sleep } from 'node:timers/promises';
import { type PostgresServer, type ProxiedConnection, startPostgres, waitFor } from 'test-support';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Client } from './support/client.ts';
import { figure } from './support/figures.ts';
import { CLEAN } from './support/oracle.ts';
import { OUTAGE_CODES, Rig } from './support/rig.ts';

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server.stop());

const isListener = ({ labels }: ProxiedConnection): boolean => labels.has('listener');

const cuts: Record<string, (connection: ProxiedConnection) => boolean> = {
  listener: isListener,
  sender: (connection) => !isListener(connection),
  both: () => true,
};

describe.concurrent('connections that are lost under load', () => {
  for (const [name, fits] of Object.entries(cuts)) {
    it(`faults/cut-${name}: five times under load, everything accepted arrives once and in order`, async () => {
      await using rig = await Rig.on(server);
      const { proxy, url } = await rig.proxy();
      const harmed = rig.node({ connectionString: url });
      const other = rig.node();
      const clients = await rig.connected(8);
      const load = rig.load();
      for (let round = 0; round < 5; round += 1) {
        await sleep(150);
        // What was cut before may still be on its way back.
        await waitFor(() => proxy.cut(fits) > 0);
        const [client] = clients;
        if (client) figure(`cut ${name}: next message through`, await rig.reaches(client, round % 2 ? other : harmed));
      }
      await load.stop();
      expect(await rig.settled()).toMatchObject(CLEAN);
      expect(rig.ledger.refusals).toEqual({});
      expect(rig.reportsBeside(...OUTAGE_CODES)).toEqual([]);
      for (const { line } of clients) expect(line.state).toBe('open');
    });
  }

  it('faults/terminated-20-times: backends of every kind are ended by an administrator, and nothing is lost', async () => {
    await using rig = await Rig.on(server);
    const nodes = [rig.node(), rig.node(), rig.node()];
    const clients = await rig.connected(9);
    const load = rig.load();
    const inDatabase = `datname = '${new URL(rig.url).pathname.slice(1)}'`;
    const holdsLock = "pid in (select pid from pg_locks where locktype = 'advisory' and objsubid = 2)";
    const kinds = [inDatabase, `${inDatabase} and ${holdsLock}`, `${inDatabase} and not ${holdsLock}`];
    let ended = 0;
    for (let round = 0; round < 20; round += 1) {
      ended += await server.terminate(kinds[round % kinds.length]);
      await sleep(50 + (round % 5) * 40);
    }
    expect(ended).toBeGreaterThan(20);
    const [client] = clients;
    if (client && nodes[0]) figure('terminated: next message through', await rig.reaches(client, nodes[0]));
    await load.stop();
    expect(await rig.settled()).toMatchObject(CLEAN);
    expect(rig.ledger.refusals).toEqual({});
    expect(rig.reportsBeside(...OUTAGE_CODES)).toEqual([]);
    for (const { line } of clients) expect(line.state).toBe('open');
  });

  it('faults/cut-large: a large message that cannot be fetched for a while holds up its stream, and then comes in order', async () => {
    await using rig = await Rig.on(server);
    const { proxy, url } = await rig.proxy();
    const harmed = rig.node({ connectionString: url, heartbeatMs: 60_000, sessionTimeoutMs: 180_000 });
    const other = rig.node();
    const [client, bystander] = (await rig.connected(2, [harmed])) as [Client, Client];
    // It goes on listening, and can reach nothing else.
    await proxy.refuse(true);
    proxy.cut(cuts.sender ?? (() => false));
    for (let i = 0; i < 3; i += 1) {
      await rig.publish(other, [client.session], `before ${i}`);
      await rig.publish(other, [client.session], 'x'.repeat(70_000));
      await rig.publish(other, [client.session], `behind ${i}`);
    }
    await rig.reaches(bystander, other);
    await waitFor(() => harmed.reports.includes('unavailable'));
    await proxy.refuse(false);
    expect(await rig.settled()).toMatchObject(CLEAN);
    await rig.reaches(client, other);
    expect(client.line.state).toBe('open');
    expect(rig.reportsBeside(...OUTAGE_CODES)).toEqual([]);
  });
});
