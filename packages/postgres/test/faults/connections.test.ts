import { setTimeout as sleep } from 'node:timers/promises';
import { type PostgresServer, startPostgres } from 'test-support';
import { isWhole } from 'test-support/fault-suites';
import { figure } from 'test-support/faults';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Rig } from './support/rig.ts';

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server.stop());

describe.concurrent('connections that are lost under load', () => {
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
    await isWhole(rig, clients);
  });
});
