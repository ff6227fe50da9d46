import assert from 'node:assert/strict';
import { type TcpProxy, waitFor } from 'test-support';
import { ALL_NOTES, type Heard, type NoteClient, type WhoAmI } from './note-client.ts';
import type { Runtime } from './runtime.ts';

/** Where the steps take place. */
export type World = {
  readonly runtime: Runtime;
  /** The network between Ada and the Worker. Ben's is always in order. */
  readonly network: TcpProxy;
  readonly ada: NoteClient;
  readonly ben: NoteClient;
};

/** @returns what happened, in sentences. @throws what did not hold */
export type Step = (world: World) => Promise<string>;

export const initialized: Step = async ({ ada, ben }) => {
  assert.equal(ada.sdk.getServerVersion()?.name, 'notes');
  assert.notEqual(ada.sessionId, ben.sessionId);
  return (
    `Ada and Ben initialized (protocol ${ada.protocolVersion}) and opened their streams; ` +
    `Ada's session is ${ada.sessionId}`
  );
};

export const called: Step = async ({ ada, ben }) => {
  for (const client of [ada, ben]) await client.sdk.subscribeResource({ uri: ALL_NOTES });
  await assertKnown(ada);
  return 'Both subscribed to the notes. Asked by a tool call, the Worker knows what Ada said before: her name, and what she watches';
};

export const notified: Step = async ({ ada, ben }) => {
  const heard = ada.listen();
  const from = performance.now();
  const answer = await ben.callTool('add-note', { text: 'Hello from Ben' });
  await heard.first('notifications/resources/updated');
  const ms = Math.round(performance.now() - from);
  await heard.first('notifications/resources/list_changed');
  assert.deepEqual(await ada.readNotes(), ['Hello from Ben']);
  return `Ben called add-note ("${answer}"). ${ms} ms later Ada heard over her stream that the notes and their list changed, and read it`;
};

/** A connection breaks while messages are sent, and more of them are sent before it can be made again. */
export const cutAndResumed: Step = async ({ ada, ben, network }) => {
  const count = 150;
  const heard = ada.listen();
  const { before, missed } = await importWhileCutOff({ ada, ben, network }, heard, count, 50);
  await network.refuse(false);
  const lastEventId = await assertResumed(ada, heard, count);
  return (
    `Ada imports ${count} notes, each of which is reported to her. After ${before} her connection was cut; ` +
    `${missed} came too late for it. She came back, named her last event (${lastEventId}), and got them: ` +
    'nothing is missing, nothing came twice, all in order'
  );
};

/** All processes of the runtime are killed while Ada is cut off. Only what was stored is there afterwards. */
export const restarted: Step = async ({ ada, ben, network, runtime }) => {
  const count = 60;
  const heard = ada.listen();
  const { missed } = await importWhileCutOff({ ada, ben, network }, heard, count, 1);
  const streamsOfBen = ben.streams.length;
  const from = performance.now();
  await runtime.kill();
  await runtime.start();
  const seconds = ((performance.now() - from) / 1_000).toFixed(1);
  await network.refuse(false);
  const lastEventId = await assertResumed(ada, heard, count);
  await assertKnown(ada);

  await waitFor(() => ben.streams.length > streamsOfBen, { timeoutMs: 30_000, message: 'the stream of Ben' });
  const [afterwards, notes] = [ada.listen(), (await ada.readNotes()).length];
  await ben.callTool('add-note', { text: 'Still here' });
  await afterwards.first('notifications/resources/updated');
  assert.equal((await ada.readNotes()).length, notes + 1);
  return (
    `Ada was cut off again, and ${missed} of ${count} messages were sent that she could not get. Then the whole runtime ` +
    `was killed, and started again with its storage in ${seconds} s. Ada named her last event (${lastEventId}) and got ` +
    'all of them, once and in order. Her session and subscription are still known: Ben added a note, and she heard of it'
  );
};

export const deleted: Step = async ({ ada, ben, runtime }) => {
  const { sessionId } = ada;
  const stream = ada.streams.at(-1);
  assert.equal(stream?.end, 'none');
  await ada.endSession();
  await waitFor(() => stream?.end !== 'none', { message: 'the end of the stream' });
  // The Worker breaks off only what its client has not read to the end.
  assert.equal(stream?.end, 'good');
  await ada.sdk.close();
  const answer = await askAs(sessionId, runtime.url, ben.protocolVersion);
  assert.equal(answer.clientInfo, undefined);
  assert.equal(answer.watchesNotes, false);
  await assertKnown(ben);
  return "Ada ended her session with DELETE: her stream ended in good order, and nothing is known of her any more. Ben's session goes on";
};

/** Starts an import, cuts Ada off after `minimum` reports, and waits until all the others were sent. */
async function importWhileCutOff(
  { ada, ben, network }: Pick<World, 'ada' | 'ben' | 'network'>,
  heard: Heard,
  count: number,
  minimum: number,
): Promise<{ before: number; missed: number }> {
  const heardByBen = ben.listen();
  await ada.callTool('import-notes', { notes: Array.from({ length: count }, (_, index) => `Note ${index + 1}`) });
  await waitFor(() => heard.imported().length >= minimum, { intervalMs: 1, message: 'the first reports' });
  await network.refuse(true);
  network.cutAll();
  // The Worker says so after the last report was stored.
  await heardByBen.first('notifications/resources/updated');
  const before = heard.imported().length;
  assert.ok(before < count, 'the connection was cut too late to miss anything');
  return { before, missed: count - before };
}

/** Everything came once and in order, over a stream that continued another one. @returns the event it was continued from */
async function assertResumed(ada: NoteClient, heard: Heard, count: number): Promise<string> {
  // It is sent after the last report: whatever comes twice has come by then.
  await heard.first('notifications/resources/updated');
  assert.deepEqual(
    heard.imported(),
    Array.from({ length: count }, (_, index) => index + 1),
  );
  const { lastEventId } = ada.streams.at(-1) ?? {};
  assert.ok(lastEventId, 'the client did not name its last event');
  return lastEventId;
}

async function assertKnown(client: NoteClient): Promise<void> {
  const { sessionId, clientInfo, watchesNotes } = await client.whoAmI();
  assert.equal(sessionId, client.sessionId);
  assert.equal(clientInfo?.name, client.name);
  assert.equal(watchesNotes, true);
}

/** Calls `whoami` under the id of a session that has ended, which the official client would not do. */
async function askAs(sessionId: string, url: URL, protocolVersion: string): Promise<WhoAmI> {
  const response = await fetch(url, {
    method: 'POST',
    headers: {
      accept: 'application/json, text/event-stream',
      'content-type': 'application/json',
      'mcp-protocol-version': protocolVersion,
      'mcp-session-id': sessionId,
    },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'whoami', arguments: {} } }),
  });
  const data = /^data: (.*)$/m.exec(await response.text())?.[1] ?? '';
  const { result } = JSON.parse(data) as { result: { content: [{ text: string }] } };
  return JSON.parse(result.content[0].text) as WhoAmI;
}
