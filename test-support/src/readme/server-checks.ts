import { expect } from 'vitest';
import { waitFor } from '../wait-for.ts';
import { callTool, initialize, ProbedStream } from './probe.ts';
import type { ServingSnippet } from './snippets.ts';

const TOOLS_CHANGED = 'notifications/tools/list_changed';

/** Snippets with a tool `hello`, at `/mcp`. */
export async function saysHello({ url }: ServingSnippet): Promise<void> {
  const session = await initialize(`${url}/mcp`);
  expect(await callTool(`${url}/mcp`, session, 'hello')).toContain('Hello');
}

/** Snippets with a tool `change` that tells of a changed list of tools, at `/mcp` and `/sse`. */
export async function tellsEachTransportOnce({ url }: ServingSnippet): Promise<void> {
  await using sse = await ProbedStream.open(`${url}/sse`);
  const { data: endpoint } = await sse.next(({ event }) => event === 'endpoint');
  const session = await initialize(`${url}/mcp`);
  await using http = await ProbedStream.open(`${url}/mcp`, { 'mcp-session-id': session });
  await callTool(`${url}/mcp`, session, 'change');
  for (const stream of [http, sse]) await stream.next(({ data }) => data.includes(TOOLS_CHANGED));
  // This answer comes behind whatever else there may be.
  await initialize(new URL(endpoint, url).href);
  await sse.next(({ data }) => data.includes('protocolVersion'));
  for (const stream of [http, sse]) {
    expect(stream.events.filter(({ data }) => data.includes(TOOLS_CHANGED))).toHaveLength(1);
  }
}

/** The same tool, at `/mcp`: a client that comes back while its stream is still open takes it over, and misses nothing. */
export async function resumes({ url }: ServingSnippet): Promise<void> {
  const mcp = `${url}/mcp`;
  const session = await initialize(mcp);
  const headers = { 'mcp-session-id': session };
  await using first = await ProbedStream.open(mcp, headers);
  await callTool(mcp, session, 'change');
  const { id = '' } = await first.next(({ data }) => data.includes(TOOLS_CHANGED));
  await callTool(mcp, session, 'change');
  await waitFor(() => first.events.length === 2);
  await using second = await ProbedStream.open(mcp, { ...headers, 'last-event-id': id });
  await callTool(mcp, session, 'change');
  await waitFor(() => second.events.length >= 2);
  expect(second.methods).toEqual([TOOLS_CHANGED, TOOLS_CHANGED]);
  expect(first.methods).toEqual([TOOLS_CHANGED, TOOLS_CHANGED]);
}
