import { setTimeout as sleep } from 'node:timers/promises';
import { startPostgres, waitFor } from 'test-support';
import { CLEAN, type Client, figure, OUTAGE_CODES } from 'test-support/faults';
import { describe, expect, it } from 'vitest';
import { Rig } from './support/rig.ts';
import { StartingUp } from './support/starting-up.ts';

describe.concurrent('a server that is not there yet', () => {
  it('faults/starting-up: a server that recovers for seconds is not stormed, and everything goes on when it is ready', async () => {
    await using server = await startPostgres();
    await using rig = await Rig.on(server);
    const nodes = [rig.node(), rig.node()] as const;
    const clients = await rig.connected(6);
    const load = rig.load();
    await sleep(100);
    await server.shutDown();
    const attempts: number[] = [];
    {
      await using starting = await StartingUp.on(server);
      await sleep(3_000);
      attempts.push(...starting.attempts);
    }
    await server.start();
    const up = performance.now();
    const [client] = clients as [Client];
    await rig.reaches(client, nodes[0]);
    figure('starting up: next message through after the server is ready', performance.now() - up);
    await load.stop();
    expect(await rig.settled()).toMatchObject(CLEAN);
    expect(rig.ledger.refusals).toEqual({});
    expect(rig.reportsBeside(...OUTAGE_CODES)).toEqual([]);
    // A listener and an outbox that back off, heartbeats twice a second: loops that multiplied would show thousands.
    const began = attempts[0] ?? 0;
    const early = attempts.filter((at) => at - began < 1_500).length;
    figure('starting up: attempts to connect in 3 s, two processes', attempts.length, '');
    expect(attempts.length).toBeGreaterThan(4);
    expect(attempts.length).toBeLessThan(80);
    expect(attempts.length - early).toBeLessThanOrEqual(early + 5);
  });
});

describe.concurrent('a role without rights', () => {
  it('faults/no-rights: is refused with the remedy, and goes on as soon as it is given', async () => {
    await using server = await startPostgres();
    await using rig = await Rig.on(server);
    const owner = rig.node();
    await rig.connected(1, [owner]);
    const url = await server.createRole(rig.url);
    const role = new URL(url).username;
    const node = rig.node({ connectionString: url, sendTimeoutMs: 1_000 });
    const client = rig.client();
    await expect(client.connect(node)).rejects.toMatchObject({ code: expect.stringMatching(/refused|schema-missing/) });
    await node.manager.send(undefined, 'data: x\n\n');
    await node.delete('a');
    expect(node.reports.length).toBeGreaterThan(0);
    for (const error of node.errors) expect(String(error)).not.toMatch(new RegExp(`${role}|127\\.0\\.0\\.1`));
    await rig.query(`grant usage on schema public to ${role};
      grant select, insert, update, delete on all tables in schema public to ${role}`);
    await waitFor(() => client.connect(node).then(() => true));
    await rig.reaches(client, owner);
    // And when rights are taken away under it, it says so and survives that as well.
    await rig.query(`revoke all on all tables in schema public from ${role}`);
    const refused = await rig.ledger.sender().send(undefined, () => node.publish(undefined, 'data: x\n\n'));
    expect(refused.refused).toBe('refused');
    await rig.query(`grant select, insert, update, delete on all tables in schema public to ${role}`);
    await rig.reaches(client, node);
    expect(client.line.state).toBe('open');
  });

  it('faults/no-rights-to-create: tables that may not be created are named as missing, with the command that prints them', async () => {
    await using server = await startPostgres();
    await using rig = await Rig.on(server);
    const url = await server.createRole(rig.url);
    for (const node of [rig.node({ connectionString: url }), rig.node({ create: false })]) {
      const failed = rig.client().connect(node);
      await expect(failed).rejects.toMatchObject({ code: 'schema-missing', message: expect.stringContaining('npx') });
      await expect(node.has('a')).rejects.toMatchObject({ code: 'schema-missing' });
      // Nothing waits to be stored, so there is nothing to wait for.
      const closing = performance.now();
      await node.close();
      expect(performance.now() - closing).toBeLessThan(8_000);
    }
  });
});
