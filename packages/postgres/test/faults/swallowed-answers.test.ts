import { type PostgresServer, startPostgres, type TcpProxy, waitFor } from 'test-support';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { figure } from './support/figures.ts';
import { writeMessage } from './support/message.ts';
import { CLEAN } from './support/oracle.ts';
import { OUTAGE_CODES, Rig } from './support/rig.ts';

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server.stop());

/** How control operations are written in a batch. */
const CLAIM = '"k":"c"';
const END = '"k":"e"';

/** The next batch that holds this text is stored, its answer is lost, and with it the connection. */
function swallowAnswerTo(proxy: TcpProxy, text: string): Promise<void> {
  return proxy.swallowAnswerAfter((chunk) => chunk.includes(text));
}

describe.concurrent('an answer that is lost after the commit', () => {
  it('faults/swallowed-message: the message is stored once and accepted once, thirty times in a row', async () => {
    await using rig = await Rig.on(server);
    const { proxy, url } = await rig.proxy();
    const sender = rig.node({ connectionString: url });
    const [client] = await rig.connected(1, [rig.node()]);
    for (let round = 0; round < 30; round += 1) {
      const text = `swallow ${round}`;
      const swallowed = swallowAnswerTo(proxy, text);
      const began = performance.now();
      await rig.publish(sender, undefined, text);
      await swallowed;
      if (round === 29) figure('swallowed answer: accepted after', performance.now() - began);
    }
    expect(await rig.settled()).toMatchObject(CLEAN);
    expect(client?.labels).toHaveLength(31);
    const [head] = await rig.query<{ pos: string }>('select pos::text from tmcp_sessions_head');
    // One claim, one message that showed the stream to be live, and thirty.
    expect(head?.pos).toBe('32');
  });

  it('faults/swallowed-claim: the retry of a claim learns what its first run found, and its stream starts there', async () => {
    await using rig = await Rig.on(server);
    const { proxy, url } = await rig.proxy();
    const swallowing = rig.node({ connectionString: url });
    const other = rig.node();
    const client = rig.client();
    await client.connect(other);
    for (let round = 0; round < 6; round += 1) {
      await rig.reaches(client, other);
      // Without an id, and its predecessor is released, or alive on another node, or on the same one.
      if (round % 3 === 0) await client.disconnect();
      await rig.publish(other, [client.session]);
      const swallowed = swallowAnswerTo(proxy, client.session);
      await Promise.all([client.connect(swallowing), swallowed]);
      await rig.publish(other, [client.session]);
      await rig.reaches(client, other);
      if (round % 2 === 0) await client.connect(other);
    }
    expect(await rig.settled()).toMatchObject(CLEAN);
    expect(rig.reportsBeside(...OUTAGE_CODES)).toEqual([]);
  });

  it('faults/swallowed-mixed-batch: claims, releases and messages in one batch under load, all of them once', async () => {
    await using rig = await Rig.on(server);
    const { proxy, url } = await rig.proxy();
    const swallowing = rig.node({ connectionString: url });
    const other = rig.node();
    const clients = await rig.connected(12);
    const load = rig.load({ senders: 4 });
    for (let round = 0; round < 8; round += 1) {
      const swallowed = swallowAnswerTo(proxy, CLAIM);
      const moving = clients.filter((_, i) => (i + round) % 3 === 0);
      await Promise.all([swallowed, ...moving.map((client) => client.connect(swallowing, { resume: true }))]);
      await Promise.all(moving.map((client, i) => (i % 2 === 0 ? client.disconnect() : undefined)));
      await Promise.all(moving.map((client) => client.connect(other, { resume: true })));
    }
    await load.stop();
    expect(await rig.settled()).toMatchObject(CLEAN);
    expect(rig.ledger.refusals).toEqual({});
    expect(rig.reportsBeside(...OUTAGE_CODES)).toEqual([]);
  });

  it('faults/swallowed-end: a DELETE whose answer is lost ends the session once, and later ones are not harmed', async () => {
    await using rig = await Rig.on(server);
    const { proxy, url } = await rig.proxy();
    const ending = rig.node({ connectionString: url });
    const holder = rig.node();
    const [client] = await rig.connected(1, [holder]);
    if (!client) throw new Error('no client');
    const swallowed = swallowAnswerTo(proxy, END);
    await Promise.all([ending.delete(client.session), swallowed]);
    await waitFor(() => client.line.state === 'ended');
    expect(await ending.has(client.session)).toBe(false);
    // The same id begins anew, and the retry of the end, which has a lower number, does not reach it.
    await client.connect(holder);
    await ending.publish([client.session], writeMessage('unused'));
    await waitFor(() => client.labels.includes('unused'));
    expect(client.line.state).toBe('open');
    expect(rig.reportsBeside(...OUTAGE_CODES)).toEqual([]);
  });
});
