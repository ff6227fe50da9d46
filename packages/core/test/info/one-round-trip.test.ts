import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { HttpTransport } from '@tmcp/transport-http';
import { SseTransport } from '@tmcp/transport-sse';
import { McpServer } from 'tmcp';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { StoredInfoSessionManager } from '../../src/info/stored-info-session-manager.ts';
import { emptyStore, FaultyStore } from './faulty-store.ts';

const settings = { sendTimeoutMs: 300, maxOutboxBytes: 1e6, onError: () => undefined };
let store: FaultyStore;
let info: StoredInfoSessionManager;

beforeEach(() => {
  store = new FaultyStore();
  // As over a network: each answer comes in a turn of its own.
  store.after = () => sleep(2);
  info = new StoredInfoSessionManager(store, settings);
});
afterEach(() => info.close());

const LOG_LEVEL = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'who', arguments: {} } };
const INITIALIZE = {
  jsonrpc: '2.0',
  id: 0,
  method: 'initialize',
  params: { protocolVersion: '2025-06-18', capabilities: { elicitation: {} }, clientInfo: { name: 'c', version: '1' } },
};

function createServer(): McpServer<undefined> {
  const server = new McpServer(
    { name: 'server', version: '1', description: 'test' },
    { adapter: undefined, capabilities: { tools: {}, logging: {} } },
  );
  server.tool({ name: 'who', description: 'who calls' }, () => ({
    content: [{ type: 'text', text: JSON.stringify(server.ctx.sessionInfo) }],
  }));
  return server;
}

function post(body: object, session = 's'): Request {
  return new Request('http://localhost/mcp', {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      'mcp-session-id': session,
    },
    body: JSON.stringify(body),
  });
}

describe('the three reads of a POST', () => {
  it('are one round trip under HttpTransport', async () => {
    const transport = new HttpTransport(createServer(), { path: '/mcp', sessionManager: { info } });
    await (await transport.respond(post(INITIALIZE)))?.text();
    await info.setLogLevel('s', 'warning');
    expect(store.count('read')).toBe(0);
    for (let n = 1; n <= 5; n += 1) {
      const answer = await (await transport.respond(post(LOG_LEVEL)))?.text();
      expect(answer).toContain(String.raw`\"clientCapabilities\":{\"elicitation\":{}}`);
      expect(answer).toContain(String.raw`\"name\":\"c\"`);
      expect(answer).toContain(String.raw`\"logLevel\":\"warning\"`);
      expect(store.count('read')).toBe(n);
    }
  });

  it('are one round trip for each of many POSTs at the same time', async () => {
    const transport = new HttpTransport(createServer(), { path: '/mcp', sessionManager: { info } });
    await (await transport.respond(post(INITIALIZE)))?.text();
    const posts = Array.from({ length: 40 }, (_, i) => post(LOG_LEVEL, i % 2 ? 's' : `s${i}`));
    await Promise.all(posts.map(async (request) => (await transport.respond(request))?.text()));
    expect(store.count('read')).toBeLessThanOrEqual(40);
  });

  it('are one round trip when nothing is stored', async () => {
    const transport = new HttpTransport(createServer(), { path: '/mcp', sessionManager: { info } });
    await (await transport.respond(post(LOG_LEVEL, 'unknown')))?.text();
    expect(store.count('read')).toBe(1);
  });

  it('are one round trip under SseTransport', async () => {
    const transport = new SseTransport(createServer(), { path: '/sse', endpoint: '/mcp', sessionManager: { info } });
    await (await transport.respond(post(LOG_LEVEL)))?.text();
    expect(store.count('read')).toBe(1);
  });

  it('wait for one deadline, not for three, when the backend does not answer', async () => {
    store.before = () => new Promise(() => undefined);
    for (const id of ['s', 't', 'u']) {
      await expect(info.getClientCapabilities(id)).rejects.toMatchObject({ code: 'timeout' });
      await expect(info.getClientInfo(id)).rejects.toMatchObject({ code: 'timeout' });
      await expect(info.getLogLevel(id)).rejects.toMatchObject({ code: 'timeout' });
    }
    expect(info.stats().reads).toBe(3);
  });
});

describe('a row that was read', () => {
  it('is not handed on beyond the turn of the event loop in which it arrived', async () => {
    await expect(info.getClientInfo('s')).rejects.toThrow();
    await nextTurn();
    await expect(info.getLogLevel('s')).rejects.toThrow();
    expect(store.count('read')).toBe(2);
  });

  it('answers each getter once', async () => {
    for (let n = 1; n <= 3; n += 1) {
      await expect(info.getClientInfo('s')).rejects.toThrow();
      expect(store.count('read')).toBe(n);
    }
  });

  it('is dropped by a write of this process', async () => {
    await expect(info.getClientInfo('s')).rejects.toThrow();
    void info.setLogLevel('s', 'info');
    expect(await info.getLogLevel('s')).toBe('info');
    expect(store.count('read')).toBe(2);
  });

  it('does not reach a getter that was called after a write that it missed', async () => {
    const before = info.getClientInfo('s').catch(() => 'nothing');
    await nextTurn();
    void info.setLogLevel('s', 'info');
    expect(await Promise.all([before, info.getLogLevel('s')])).toEqual(['nothing', 'info']);
  });

  it.each(['in the order of their questions', 'the other way round'])(
    'does not reach who has asked for a newer one, when both arrive in one turn, %s',
    async (order) => {
      const shared = emptyStore();
      const another = new StoredInfoSessionManager(shared, settings);
      const arrive: (() => void)[] = [];
      const slow = new FaultyStore(shared);
      slow.after = () => new Promise<void>((resolve) => arrive.push(resolve));
      info = new StoredInfoSessionManager(slow, settings);
      await another.setLogLevel('s', 'info');
      await another.setClientCapabilities('s', {});
      const alone = info.getLogLevel('s');
      await nextTurn();
      await another.setClientInfo('s', { name: 'said since', version: '1' });
      const post = (async () => {
        await info.getClientCapabilities('s');
        return info.getClientInfo('s');
      })();
      await nextTurn();
      slow.after = () => undefined;
      for (const each of order === 'the other way round' ? arrive.reverse() : arrive) each();
      expect(await alone).toBe('info');
      expect(await post).toMatchObject({ name: 'said since' });
      expect(slow.count('read')).toBe(2);
    },
  );

  it('is shared by getters that are called at the same time', async () => {
    await Promise.allSettled([info.getLogLevel('s'), info.getClientInfo('s'), info.getClientCapabilities('s')]);
    expect(store.count('read')).toBe(1);
  });
});
