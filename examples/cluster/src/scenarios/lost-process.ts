import assert from 'node:assert/strict';
import { waitFor } from 'test-support';
import { assertInOrder, inBackground, milliseconds, type SessionScenario } from './scenario.ts';

const COUNT = 300;

/** The process that holds the stream is killed, and can say no word to anybody. */
export const processKilled: SessionScenario = (world, client) => processLost('killed', world, client);

/** The process that holds the stream is stopped in good order, as when a new version is rolled out. */
export const processStopped: SessionScenario = (world, client) => processLost('stopped', world, client);

async function processLost(
  how: 'killed' | 'stopped',
  { cluster, figures }: Parameters<SessionScenario>[0],
  client: Parameters<SessionScenario>[1],
): Promise<string> {
  const lost = client.streamHeldBy;
  const heard = client.inbox.fromNow();
  const sending = inBackground(
    client.callTool('notify-me', { count: COUNT, label: how, pauseMs: 50 }, { not: [lost] }),
  );
  await waitFor(() => heard.numbers(how).length >= COUNT / 5, { message: 'the first notifications' });

  const lostAt = performance.now();
  await (how === 'killed' ? cluster.kill(lost) : cluster.stop(lost));
  const before = heard.numbers(how).length;
  await waitFor(() => heard.numbers(how).length > before, {
    intervalMs: 1,
    message: 'notifications after the reconnect',
  });
  const recovery = milliseconds(lostAt);
  const successor = inBackground(cluster.startProcess());

  const { process: sender } = await sending;
  await waitFor(() => new Set(heard.numbers(how)).size >= COUNT, {
    message: () => `all notifications; ${new Set(heard.numbers(how)).size} of ${COUNT} came`,
  });
  // Whatever may come twice gets a moment to do so.
  await client.ask((sdk) => sdk.ping());
  const stream = client.watch.streams.at(-1);
  assert.ok(stream && stream.process !== lost, 'the stream did not move to another process');
  assertInOrder([...new Set(heard.numbers(how))], COUNT);
  // Also of what was sent before this scenario began.
  const repeats = heard.of('notifications/message').length - COUNT;
  if (client.kind === 'http') assert.ok(stream.lastEventId, 'the client did not name the last event it had seen');
  // How far a client had read that does not name its last event, nobody can know any more once its process was killed:
  // it may hear again what came after the process last wrote down where it was.
  if (client.kind === 'http' || how === 'stopped') assert.equal(repeats, 0, 'notifications came twice');

  figures.repeats += repeats;
  figures.recoveries.push({ how, transport: client.kind, ms: recovery });
  return (
    `Process ${lost}, which held the stream, was ${how} while process ${sender} was sending ${COUNT} notifications; ` +
    `${recovery} ms later they went on over process ${stream.process}, where the client ` +
    `${stream.lastEventId ? `named its last event (${stream.lastEventId})` : 'came back without naming its last event'}. ` +
    `Nothing is missing, ${repeats === 0 ? 'nothing came twice' : `${repeats} came a second time, as they may then`}. ` +
    `Process ${await successor} takes the place of ${lost}`
  );
}
