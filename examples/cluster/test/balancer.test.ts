import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { freePort, waitFor } from 'test-support';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Balancer } from '../src/balancer.ts';

describe('the load balancer', () => {
  let balancer: Balancer;
  const servers: Server[] = [];

  beforeEach(async () => {
    balancer = await Balancer.start(0);
  });

  afterEach(async () => {
    await balancer.close();
    for (const server of servers.splice(0)) {
      server.closeAllConnections();
      server.close();
    }
  });

  async function target(name: string, answer: RequestListener): Promise<void> {
    const server = createServer((request, response) =>
      request.url === '/health' ? response.end() : answer(request, response),
    );
    servers.push(server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    balancer.add(name, (server.address() as AddressInfo).port);
  }

  const post = (body: string): Promise<Response> => fetch(balancer.url, { method: 'POST', body });

  it('balancer/in-turn: gives each request to the next process, also over one connection', async () => {
    for (const name of ['A', 'B', 'C']) await target(name, (_, response) => response.end(name));
    const answers: string[] = [];
    for (let count = 0; count < 6; count += 1) answers.push(await (await fetch(balancer.url)).text());
    expect(answers.join('')).toBe('ABCABC');
  });

  it('balancer/refused: a request that a process refuses goes to the next, body included', async () => {
    balancer.add('dead', await freePort());
    await target('A', (request, response) => request.pipe(response));
    expect(await (await post('hello')).text()).toBe('hello');
    expect(balancer.next).toBe('A');
  });

  it('balancer/not-twice: a POST that a process may have acted on is not given to another', async () => {
    const seen: string[] = [];
    await target('A', (request) => {
      seen.push('A');
      request.destroy();
    });
    await target('B', (_, response) => {
      seen.push('B');
      response.end();
    });
    expect((await post('pay')).status).toBe(502);
    expect(seen).toEqual(['A']);
  });

  it('balancer/broken-stream: a stream that breaks off does not look as if it had ended', async () => {
    await target('A', (_, response) => {
      response.write('data: 1\n\n', () => response.destroy());
    });
    const response = await fetch(balancer.url);
    await expect(response.text()).rejects.toThrow();
  });

  it('balancer/client-gone: a process is told when the client of a stream has gone', async () => {
    let gone = false;
    await target('A', (_, response) => {
      response.flushHeaders();
      response.once('close', () => {
        gone = true;
      });
    });
    const abort = new AbortController();
    await fetch(balancer.url, { signal: abort.signal });
    abort.abort();
    await waitFor(() => gone);
  });

  it('balancer/nobody: without any process the answer is 502', async () => {
    expect((await fetch(balancer.url)).status).toBe(502);
  });
});
