import { env, waitUntil } from 'cloudflare:workers';
import { ValibotJsonSchemaAdapter } from '@tmcp/adapter-valibot';
import { McpServer } from 'tmcp';
import { resource, tool } from 'tmcp/utils';
import * as v from 'valibot';
import { sessions } from './sessions.ts';

const ALL_NOTES = 'notes://all';

/** How long it takes to get hold of a note that is imported: a real import would fetch it from somewhere. */
const FETCH_MS = 5;

/** Stubs of objects belong to the request that made them: one is made for each call. */
const notebook = () => env.NOTEBOOK.getByName('notes');

export const server: McpServer<v.GenericSchema> = new McpServer(
  { name: 'notes', version: '1.0.0', description: 'Notes that many clients write' },
  {
    adapter: new ValibotJsonSchemaAdapter(),
    capabilities: { logging: {}, resources: { listChanged: true, subscribe: true }, tools: {} },
  },
);

server.resource(
  { name: 'all-notes', description: 'All notes, one per line', uri: ALL_NOTES, mimeType: 'text/plain' },
  async (uri) => resource.text(uri, (await notebook().all()).join('\n'), 'text/plain'),
);

server.template(
  {
    name: 'note',
    description: 'One note, by its number',
    uri: 'notes://note/{number}',
    list: async () =>
      (await notebook().all()).map((_, index) => ({
        name: `note-${index + 1}`,
        uri: `notes://note/${index + 1}`,
        mimeType: 'text/plain',
      })),
  },
  async (uri, { number }) => {
    const note = (await notebook().all())[Number(number) - 1];
    if (note === undefined) throw new Error(`There is no note ${String(number)}`);
    return resource.text(uri, note, 'text/plain');
  },
);

server.tool(
  {
    name: 'add-note',
    description: 'Adds a note. Clients that subscribed to all notes are told, and all clients that the list grew',
    schema: v.object({ text: v.string() }),
  },
  async ({ text }) => {
    const number = await notebook().add(text);
    server.changed('resource', ALL_NOTES);
    server.changed('resources');
    return tool.text(`Wrote note ${number}`);
  },
);

server.tool(
  {
    name: 'import-notes',
    description: 'Adds notes in the background, and reports each one by a log message to the session that asked',
    schema: v.object({ notes: v.pipe(v.array(v.string()), v.maxLength(1_000)) }),
  },
  async ({ notes }) => {
    const { sessionId } = server.ctx;
    if (sessionId === undefined) return tool.error('A client of this protocol version has no stream to report to');
    // The answer does not wait for it; the runtime gives it 30 more seconds.
    waitUntil(importNotes(sessionId, notes));
    return tool.text(`Importing ${notes.length} notes`);
  },
);

server.tool({ name: 'whoami', description: 'What is known about the session that asks, as JSON' }, async () => {
  const { sessionId, sessionInfo } = server.ctx;
  const watching = await sessions.sessionManager.info.getSubscriptions(ALL_NOTES);
  return tool.text(
    JSON.stringify({
      sessionId,
      watchesNotes: sessionId !== undefined && watching.includes(sessionId),
      ...sessionInfo,
    }),
  );
});

async function importNotes(sessionId: string, notes: readonly string[]): Promise<void> {
  for (const [index, text] of notes.entries()) {
    await scheduler.wait(FETCH_MS);
    await notebook().add(text);
    // Once this resolves the message is stored: it reaches the client, however often its stream breaks.
    await log(sessionId, { imported: index + 1, of: notes.length });
  }
  server.changed('resource', ALL_NOTES);
  server.changed('resources');
}

/** `server.log()` writes to the response of a request, and this one has been answered: it goes to the session's stream. */
async function log(sessionId: string, data: unknown): Promise<void> {
  const message = {
    jsonrpc: '2.0',
    method: 'notifications/message',
    params: { level: 'info', logger: 'import', data },
  };
  await sessions.sessionManager.streams.publish([sessionId], `event: message\ndata: ${JSON.stringify(message)}\n\n`);
}
