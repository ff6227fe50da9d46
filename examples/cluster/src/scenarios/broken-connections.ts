import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { waitFor } from 'test-support';
import { assertInOrder, inBackground, milliseconds, type SessionScenario } from './scenario.ts';

const COUNT = 1_000;
const ATTACK_EVERY_MS = 150;

/** Every connection to the server that keeps the sessions is broken off, again and again, while notifications are on their way. */
export const connectionsBrokenOff: SessionScenario = async (world, client) => {
  const { streamHeldBy } = client;
  const label = 'attacked';
  const heard = client.inbox.fromNow();
  const start = performance.now();
  let finished = false;
  const sending = inBackground(
    client.callTool('notify-me', { count: COUNT, label, pauseMs: 10 }, { not: [streamHeldBy] }).finally(() => {
      finished = true;
    }),
  );
  let broken = 0;
  let attacks = 0;
  while (!finished) {
    await sleep(ATTACK_EVERY_MS);
    broken += await world.server.cutConnections();
    attacks += 1;
  }
  const { process } = await sending;
  await waitFor(() => heard.numbers(label).length >= COUNT, {
    message: () => `all notifications; ${heard.numbers(label).length} of ${COUNT} came`,
  });
  const duration = milliseconds(start);
  // Whatever may come twice gets a moment to do so.
  await client.ask((sdk) => sdk.ping());
  assertInOrder(heard.numbers(label), COUNT);
  assert.ok(broken > attacks, 'hardly any connection was broken off');
  world.figures.brokenConnections += broken;
  return (
    `Process ${process} sent ${COUNT.toLocaleString('en')} notifications while ${world.server.title} broke off ` +
    `${broken} connections in ${attacks} attacks; all came over the stream to process ${streamHeldBy}, in order, ` +
    `none twice, in ${(duration / 1_000).toFixed(1)} s`
  );
};
