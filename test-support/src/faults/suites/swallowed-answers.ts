import { describe, expect, it } from 'vitest';
import type { TcpProxy } from '../../tcp-proxy/tcp-proxy.ts';
import { waitFor } from '../../wait-for.ts';
import type { MakeRig } from '../fault-rig.ts';
import { figure } from '../figures.ts';
import { writeMessage } from '../message.ts';
import { CLEAN } from '../oracle.ts';

/** How control operations are written in a batch. */
const CLAIM = '"k":"c"';
const END = '"k":"e"';

/** The next batch that holds this text is stored, its answer is lost, and with it the connection. */
function swallowAnswerTo(proxy: TcpProxy, text: string): Promise<void> {
  return proxy.swallowAnswerAfter((chunk) => chunk.includes(text));
}

/** Batches that were stored, and whose sender never heard of it. */
export function swallowedAnswersSuite(makeRig: MakeRig): void {
  describe.concurrent('an answer that is lost after its batch was stored', () => {
    it('faults/swallowed-message: the message is stored once and accepted once, thirty times in a row', async () => {
      await using rig = await makeRig();
      const { proxy, through } = await rig.proxy();
      const sender = rig.node({ ...through });
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
      // One claim, one message that showed the stream to be live, and thirty.
      expect((await rig.head()).position).toBe(32);
    });

    it('faults/swallowed-claim: the retry of a claim learns what its first run found, and its stream starts there', async () => {
      await using rig = await makeRig();
      const { proxy, through } = await rig.proxy();
      const swallowing = rig.node({ ...through });
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
      expect(rig.reportsBeside(...rig.harmless)).toEqual([]);
    });

    it('faults/swallowed-mixed-batch: claims, releases and messages in one batch under load, all of them once', async () => {
      await using rig = await makeRig();
      const { proxy, through } = await rig.proxy();
      const swallowing = rig.node({ ...through });
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
      expect(rig.reportsBeside(...rig.harmless)).toEqual([]);
    });

    it('faults/swallowed-end: a DELETE whose answer is lost ends the session once, and later ones are not harmed', async () => {
      await using rig = await makeRig();
      const { proxy, through } = await rig.proxy();
      const ending = rig.node({ ...through });
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
      expect(rig.reportsBeside(...rig.harmless)).toEqual([]);
    });
  });
}
