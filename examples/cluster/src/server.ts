import { setTimeout as sleep } from 'node:timers/promises';
import { ValibotJsonSchemaAdapter } from '@tmcp/adapter-valibot';
import { type LoggingLevel, McpServer } from 'tmcp';
import { prompt, resource, tool } from 'tmcp/utils';
import * as v from 'valibot';
import type { Notebook } from './notebook.ts';

/** What each request brings along, beside what TMCP knows: see `serve.ts`. */
export type RequestContext = {
  /**
   * Sends a notification to the stream of a session, wherever that stream is held. Resolves once it is accepted: from
   * then on it reaches the client, whatever happens to this process.
   */
  notify(sessionId: string, method: string, params: Record<string, unknown>): Promise<void>;
  /** Whether a session has subscribed to a resource. */
  isSubscribed(sessionId: string, uri: string): Promise<boolean>;
};

/** Everything that this example offers. It knows nothing of processes, transports and databases. */
export type ExampleServer = McpServer<v.GenericSchema, RequestContext>;

const ALL_NOTES = 'notes://all';

/** How many notifications `notify-me` has on their way at once. */
const BATCH = 10;

/** From the least to the most severe, as in the specification. */
const LEVELS: readonly LoggingLevel[] = [
  'debug',
  'info',
  'notice',
  'warning',
  'error',
  'critical',
  'alert',
  'emergency',
];

/**
 * The MCP server. Each process of the cluster makes one: they are equal, and share only the notebook.
 *
 * @param processName shown in answers, so that one can see which process gave them
 */
export function createServer(processName: string, notebook: Notebook): ExampleServer {
  const server = new McpServer(
    { name: 'example-cluster', version: '1.0.0', description: 'Notes, kept by several processes' },
    {
      adapter: new ValibotJsonSchemaAdapter(),
      capabilities: {
        logging: {},
        prompts: { listChanged: true },
        resources: { listChanged: true, subscribe: true },
        tools: { listChanged: true },
      },
    },
  ).withContext<RequestContext>();
  addNotes(server, processName, notebook);
  addReview(server, processName, notebook);
  addSessionTools(server, processName);
  return server;
}

/** A resource that changes, and a list of resources that grows. */
function addNotes(server: ExampleServer, processName: string, notebook: Notebook): void {
  server.resource(
    { name: 'all-notes', description: 'All notes, one per line', uri: ALL_NOTES, mimeType: 'text/plain' },
    async (uri) => resource.text(uri, (await notebook.read()).notes.join('\n'), 'text/plain'),
  );

  server.template(
    {
      name: 'note',
      description: 'One note, by its number',
      uri: 'notes://note/{number}',
      list: async () =>
        (await notebook.read()).notes.map((_, index) => ({
          name: `note-${index + 1}`,
          uri: `notes://note/${index + 1}`,
          mimeType: 'text/plain',
        })),
    },
    async (uri, { number }) => {
      const note = (await notebook.read()).notes[Number(number) - 1];
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
      const number = await notebook.add(text);
      server.changed('resource', ALL_NOTES);
      server.changed('resources');
      return tool.text(`Process ${processName} wrote note ${number}`);
    },
  );
}

/** A list of prompts that a tool changes, for every process at once. */
function addReview(server: ExampleServer, processName: string, notebook: Notebook): void {
  server.prompt(
    {
      name: 'review-notes',
      description: 'Asks for a review of all notes',
      // Asked whenever the list is: each process answers from what all share, not from what it was told itself.
      enabled: async () => (await notebook.read()).review,
    },
    async () => prompt.message(`Review these notes:\n${(await notebook.read()).notes.join('\n')}`),
  );

  server.tool(
    {
      name: 'offer-review',
      description: 'Offers the prompt "review-notes", or withdraws it',
      schema: v.object({ offered: v.boolean() }),
    },
    async ({ offered }) => {
      await notebook.offerReview(offered);
      server.changed('prompts');
      return tool.text(`Process ${processName} ${offered ? 'offers' : 'withdrew'} the prompt`);
    },
  );
}

/** Tools that show what the session managers are for. */
function addSessionTools(server: ExampleServer, processName: string): void {
  server.tool(
    { name: 'whoami', description: 'What this process knows about the client that asks, as JSON' },
    async () => {
      const { sessionId, sessionInfo, custom } = server.ctx;
      const watchesNotes = sessionId !== undefined && (await custom?.isSubscribed(sessionId, ALL_NOTES));
      return tool.text(
        JSON.stringify({ process: processName, pid: process.pid, sessionId, watchesNotes, ...sessionInfo }),
      );
    },
  );

  server.tool(
    { name: 'work', description: 'Writes one log message of each level, as far as the client wants it' },
    () => {
      for (const level of LEVELS) server.log(level, `this is ${level}`, processName);
      return tool.text(`Process ${processName} worked`);
    },
  );

  server.tool(
    {
      name: 'notify-me',
      description: 'Sends numbered log messages of level "notice" to the stream of the session that asks',
      schema: v.object({
        count: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(10_000)),
        /** Comes back in each of them. */
        label: v.string(),
        /** Milliseconds to wait after each ten. */
        pauseMs: v.optional(v.pipe(v.number(), v.minValue(0), v.maxValue(1_000))),
      }),
    },
    async ({ count, label, pauseMs = 0 }) => {
      const { sessionId, sessionInfo, custom } = server.ctx;
      if (sessionId === undefined || custom === undefined) {
        return tool.error(
          'A client of this protocol version has no session, and so no stream that could be written to',
        );
      }
      // Outside of `server.log()` the level that the client asked for is ours to obey.
      if (LEVELS.indexOf(sessionInfo?.logLevel ?? 'info') > LEVELS.indexOf('notice')) return tool.text('Not wanted');
      for (let first = 1; first <= count; first += BATCH) {
        const numbers = Array.from({ length: Math.min(BATCH, count - first + 1) }, (_, index) => first + index);
        // Called in order, they arrive in order; there is no need to wait for one before the next.
        await Promise.all(
          numbers.map((number) =>
            custom.notify(sessionId, 'notifications/message', {
              level: 'notice',
              logger: processName,
              data: { label, number },
            }),
          ),
        );
        if (pauseMs > 0) await sleep(pauseMs);
      }
      return tool.text(`Process ${processName} sent ${count} notifications`);
    },
  );
}
