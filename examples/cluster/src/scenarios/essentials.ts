import assert from 'node:assert/strict';
import { waitFor } from 'test-support';
import { CLIENT_INFO, type SessionClient } from '../clients/session-client.ts';
import type { AskOptions } from '../clients/turn.ts';
import type { Asked } from '../clients/watch.ts';
import { milliseconds, type SessionScenario } from './scenario.ts';

const ALL_NOTES = 'notes://all';
const UPDATED = 'notifications/resources/updated';
const LIST_CHANGED = 'notifications/resources/list_changed';

/** What a client said of itself at `initialize` is known to every process. */
export const capabilitiesElsewhere: SessionScenario = async (_world, client) => {
  const { initializedBy } = client;
  const { known, process } = await knownBy(
    client,
    { not: [initializedBy] },
    ({ clientInfo }) => clientInfo !== undefined,
  );
  const capabilities = Object.keys(known.clientCapabilities ?? {}).sort();
  assert.equal(known.clientInfo?.name, CLIENT_INFO.name, 'the other process knows another name of the client');
  assert.deepEqual(capabilities, ['elicitation', 'roots'], 'the other process does not know the capabilities');
  return (
    `Process ${initializedBy} answered initialize; process ${process} knows that the client is ` +
    `"${known.clientInfo?.name}" and that it can do ${capabilities.join(' and ')}`
  );
};

/** A change that one process makes reaches a client whose stream another one holds. */
export const notificationAcrossProcesses: SessionScenario = async (_world, client) => {
  const { streamHeldBy } = client;
  const heard = client.inbox.fromNow();
  const before = await promptNames(client);
  const offered = await client.callTool('offer-review', { offered: true }, { not: [streamHeldBy] });
  const { at } = await heard.first('notifications/prompts/list_changed');
  const after = await promptNames(client, { not: [offered.process] });
  assert.deepEqual([before.answer, after.answer], [[], ['review-notes']], 'the list of prompts did not change');
  await client.callTool('offer-review', { offered: false });
  return (
    `Process ${offered.process} was asked to offer a new prompt; ${milliseconds(offered.at, at)} ms later the client ` +
    `heard of it over its stream to process ${streamHeldBy}, and found it in the list of process ${after.process}`
  );
};

/** A log level that one process was told is obeyed by another. */
export const logLevelElsewhere: SessionScenario = async (_world, client) => {
  const set = await client.ask((sdk) => sdk.setLoggingLevel('warning'));
  const elsewhere = { not: [set.process] };
  await knownBy(client, elsewhere, ({ logLevel }) => logLevel === 'warning');
  const heard = client.inbox.fromNow();
  const { process } = await client.callTool('work', {}, elsewhere);
  await waitFor(() => heard.of('notifications/message').length >= 5, { message: 'log messages' });
  await client.ask((sdk) => sdk.ping());
  const levels = heard.of('notifications/message').map(({ params }) => params.level);
  assert.deepEqual(levels, ['warning', 'error', 'critical', 'alert', 'emergency'], 'other log messages came');
  await client.ask((sdk) => sdk.setLoggingLevel('debug'));
  return (
    `Process ${set.process} was asked for log messages from "warning" on; ` +
    `process ${process} then sent ${levels.length} messages, and held back debug, info and notice`
  );
};

/** A subscription that one process was told is served by another, over the stream that a third one holds. */
export const subscriptionElsewhere: SessionScenario = async (_world, client) => {
  const { streamHeldBy } = client;
  const subscribed = await client.ask((sdk) => sdk.subscribeResource({ uri: ALL_NOTES }), { not: [streamHeldBy] });
  const elsewhere = { not: [subscribed.process, streamHeldBy] };
  await knownBy(client, elsewhere, ({ watchesNotes }) => watchesNotes === true);
  const heard = client.inbox.fromNow();
  const { process } = await client.callTool('add-note', { text: 'Buy milk' }, elsewhere);
  const { params } = await heard.first(UPDATED);
  assert.equal(params.uri, ALL_NOTES, 'another resource was named');
  await heard.first(LIST_CHANGED);

  await client.ask((sdk) => sdk.unsubscribeResource({ uri: ALL_NOTES }));
  await knownBy(client, elsewhere, ({ watchesNotes }) => watchesNotes === false);
  const heardAfter = client.inbox.fromNow();
  await client.callTool('add-note', { text: 'Never mind' }, elsewhere);
  await heardAfter.first(LIST_CHANGED);
  assert.deepEqual(heardAfter.of(UPDATED), [], 'it still hears of a resource that it has given up');
  return (
    `Process ${subscribed.process} was told to watch the notes; process ${process} changed them, and the client heard ` +
    `of it over its stream to process ${streamHeldBy}. Once it had unsubscribed, it heard no more`
  );
};

/** The answer of the tool `whoami`. */
type WhoAmI = {
  readonly clientInfo?: { readonly name: string };
  readonly clientCapabilities?: Record<string, unknown>;
  readonly logLevel?: string;
  readonly watchesNotes?: boolean;
};

/**
 * Asks another process what it knows of the client, until it is what was to be expected. TMCP answers before all is
 * stored; a client that asks another process in the same moment may be a few milliseconds too early.
 */
async function knownBy(
  client: SessionClient,
  options: AskOptions,
  expected: (known: WhoAmI) => boolean,
): Promise<{ readonly known: WhoAmI; readonly process: string }> {
  return waitFor(
    async () => {
      const { answer, process } = await client.callTool('whoami', {}, options);
      const known = JSON.parse(answer) as WhoAmI;
      return expected(known) ? { known, process } : undefined;
    },
    { timeoutMs: 2_000, message: 'what one process was told to be known to another' },
  );
}

function promptNames(client: SessionClient, options?: AskOptions): Promise<Asked<string[]>> {
  return client.ask(async (sdk) => (await sdk.listPrompts()).prompts.map(({ name }) => name), options);
}
