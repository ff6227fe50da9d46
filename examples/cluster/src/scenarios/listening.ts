import assert from 'node:assert/strict';
import { ListenClient } from '../clients/listen-client.ts';
import { milliseconds, type World } from './scenario.ts';

const UPDATED = 'notifications/resources/updated';
const LIST_CHANGED = 'notifications/resources/list_changed';

/** A client of the protocol 2026-07-28 hears of changes that other processes make. */
export async function listeningAcrossProcesses({ cluster, figures }: World): Promise<string> {
  await using client = await ListenClient.connect(cluster);
  const { answer: subscription, process: holder } = await client.listen();
  const heard = client.inbox.fromNow();
  const written = await client.callTool('add-note', { text: 'Water the plants' }, { not: [holder] });
  const { at, params } = await heard.first(UPDATED);
  await heard.first(LIST_CHANGED);
  assert.equal(params.uri, 'notes://all', 'another resource was named');
  await subscription.close();
  figures.notifications += client.inbox.all.length;
  return (
    `Process ${holder} holds the response to subscriptions/listen; process ${written.process} was asked to change the ` +
    `notes, and the client heard of it ${milliseconds(written.at, at)} ms later`
  );
}

/** A process that is stopped in good order tells its listeners, and they go on with another one. */
export async function listeningAfterShutdown({ cluster, figures }: World): Promise<string> {
  await using client = await ListenClient.connect(cluster);
  const { answer: subscription, process: stopped } = await client.listen();
  await cluster.stop(stopped);
  assert.equal(await subscription.closed, 'graceful', 'the subscription did not end with its result');
  const { answer: next, process: holder } = await client.listen();
  const heard = client.inbox.fromNow();
  const written = await client.callTool('add-note', { text: 'Feed the cat' }, { not: [holder] });
  await heard.first(UPDATED);
  await next.close();
  figures.notifications += client.inbox.all.length;
  const successor = await cluster.startProcess();
  return (
    `Process ${stopped} was stopped and ended its subscription with a result; the client listened again at process ` +
    `${holder}, and heard of what process ${written.process} changed. Process ${successor} takes the place of ${stopped}`
  );
}
