import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Block, brokenLinks, Markdown, typeErrorsOf } from 'test-support/readme';
import ts from 'typescript';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTestHarness } from 'wrangler';
import { call, INITIALIZE, postSse } from './mcp.ts';
import type { Worker } from './rig.ts';
import { SseClient } from './sse-client.ts';

const README = new URL('../../README.md', import.meta.url);
const ROOT = new URL('../../', import.meta.url);
const markdown = new Markdown(readFileSync(README, 'utf8'));
const snippets = markdown.blocks.filter(({ language }) => language === 'ts');
const nameOf = ({ heading }: Block): string => heading.toLowerCase().replace(/\W+/g, '-');

/** Every snippet is a Worker of its own, in a folder inside of the package so that it imports what users import. */
let folder: string;
let harness: ReturnType<typeof createTestHarness>;

beforeAll(async () => {
  folder = mkdtempSync(join(fileURLToPath(ROOT), '.readme-'));
  harness = createTestHarness({
    root: folder,
    workers: snippets.map((snippet) => {
      const main = `${nameOf(snippet)}.ts`;
      writeFileSync(join(folder, main), snippet.text);
      const kv_namespaces = [{ binding: 'TMCP_SESSION_INFO', id: 'local' }];
      return { config: { ...configuration(), name: nameOf(snippet), main: `./${main}`, kv_namespaces } };
    }),
  });
  await harness.listen();
});
afterAll(async () => {
  await harness.close();
  rmSync(folder, { recursive: true, force: true });
});

/** The file of the README, comments included. */
function configuration(): Record<string, unknown> {
  const [file] = markdown.blocks.filter(({ language }) => language === 'jsonc');
  const { config, error } = ts.parseConfigFileTextToJson('wrangler.jsonc', file?.text ?? '');
  expect(error).toBeUndefined();
  return config as Record<string, unknown>;
}

const worker = (heading: string): Worker => {
  const snippet = snippets.find((block) => block.heading === heading) ?? expect.unreachable(`no "${heading}"`);
  return harness.getWorker(nameOf(snippet)) as unknown as Worker;
};

async function initialize(at: Worker): Promise<string> {
  const response = await at.fetch('http://test/mcp', {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'initialize', params: INITIALIZE }),
  });
  await response.text();
  return response.headers.get('mcp-session-id') ?? expect.unreachable('no session id');
}

const listen = (at: Worker, session: string, headers: Record<string, string> = {}): Promise<SseClient> =>
  SseClient.open(at, '/mcp', { headers: { accept: 'text/event-stream', 'mcp-session-id': session, ...headers } });

describe('snippets of the README, as Workers', () => {
  it.each(['Set-up', 'Which info manager'])('readme/hello: "%s" answers', async (heading) => {
    const session = await initialize(worker(heading));
    const { result } = await call(worker(heading), session, 'tools/call', { name: 'hello', arguments: {} });
    expect(result).toMatchObject({ content: [{ type: 'text', text: 'Hello' }] });
  });

  it('readme/two-transports: each is told once', async () => {
    const at = worker('HTTP and SSE together');
    const session = await initialize(at);
    const http = await listen(at, session);
    const sse = await SseClient.open(at, '/sse');
    await sse.receives(1);
    const endpoint = sse.data[0] ?? '';
    await postSse(at, endpoint, { id: 1, method: 'initialize', params: INITIALIZE });
    await sse.receives(2);
    await call(at, session, 'tools/call', { name: 'change', arguments: {} });
    await Promise.all([http.receives(1), sse.receives(3)]);
    await call(at, session, 'tools/call', { name: 'change', arguments: {} });
    await Promise.all([http.receives(2), sse.receives(4)]);
    const changes = (data: readonly string[]): number => data.filter((text) => text.includes('list_changed')).length;
    expect([changes(http.data), changes(sse.data)]).toEqual([2, 2]);
  });

  it('readme/resume: a client that names its last event gets what it missed, and is let in at once', async () => {
    const at = worker('Resume with Last-Event-ID');
    const session = await initialize(at);
    const first = await listen(at, session);
    await call(at, session, 'tools/call', { name: 'change', arguments: {} });
    await first.receives(1);
    first.drop();
    await call(at, session, 'tools/call', { name: 'change', arguments: {} });
    const second = await listen(at, session, { 'last-event-id': first.lastEventId ?? '' });
    await second.receives(1);
    expect(second.data[0]).toContain('list_changed');
  });

  it('readme/publish: does what it says', async () => {
    const response = await worker('Publish or send').fetch('http://test/');
    expect([response.status, await response.text()]).toEqual([200, 'Done']);
  });

  it('readme/health: is ok, and the counters are those of the README', async () => {
    const health = await worker('Health').fetch('http://test/');
    expect([health.status, await health.json()]).toEqual([200, { ok: true }]);
    const { streams } = (await (await worker('Health').fetch('http://test/stats')).json()) as { streams: object };
    const listed = markdown.rowsUnder('What to watch').flatMap(([names = '']) => names.match(/[\w-]+/g) ?? []);
    expect(listed).toEqual(expect.arrayContaining(Object.keys(streams)));
  });
});

describe('the README', () => {
  it('readme/compiles: as it stands', async () => {
    // As in a project of a user: Node's types are needed for `AsyncLocalStorage`.
    expect(await typeErrorsOf(ROOT, [README], ['@cloudflare/workers-types', 'node'])).toBe('');
  });

  it('readme/blocks: there are none that are neither run nor commands', () => {
    const known = ['ts', 'jsonc', 'sh'];
    expect(markdown.blocks.filter(({ language }) => !known.includes(language))).toEqual([]);
    const commands = markdown.blocks.filter(({ language }) => language === 'sh').map(({ text }) => text.trim());
    const { name, dependencies, devDependencies, peerDependencies } = JSON.parse(
      readFileSync(new URL('package.json', ROOT), 'utf8'),
    ) as Record<string, Record<string, string>>;
    const packages = [name, ...Object.keys({ ...dependencies, ...devDependencies, ...peerDependencies })];
    for (const command of commands) {
      expect(command).toMatch(/^npm install /);
      expect(packages).toEqual(expect.arrayContaining(command.split(' ').slice(2)));
    }
  });

  it('readme/links: lead somewhere', () => {
    expect(brokenLinks(fileURLToPath(README), markdown)).toEqual([]);
  });
});
