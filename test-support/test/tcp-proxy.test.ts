import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TcpProxy, waitFor } from '../src/index.ts';

/** A server that answers each chunk with `re:` and the chunk, and keeps what it got. */
let server: Server;
let received: string;
let proxy: TcpProxy;
let clients: Client[];

interface Client {
  readonly socket: Socket;
  readonly got: () => string;
  readonly error: () => NodeJS.ErrnoException | undefined;
}

beforeEach(async () => {
  received = '';
  clients = [];
  server = createServer((socket) => {
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      received += chunk;
      socket.write(`re:${chunk}`);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  proxy = await TcpProxy.start({ host: '127.0.0.1', port: (server.address() as AddressInfo).port });
});

afterEach(async () => {
  for (const { socket } of clients) socket.destroy();
  await proxy.close();
  server.close();
  await once(server, 'close');
});

function dial(): Client {
  const socket = connect(proxy.port, proxy.host);
  let got = '';
  let error: NodeJS.ErrnoException | undefined;
  socket.on('data', (chunk) => {
    got += chunk;
  });
  socket.on('error', (raised) => {
    error = raised;
  });
  const client = { socket, got: () => got, error: () => error };
  clients.push(client);
  return client;
}

async function ask(client: Client, text: string): Promise<void> {
  client.socket.write(text);
  await waitFor(() => client.got().endsWith(`re:${text}`), { message: `an answer to ${text}` });
}

describe('tcp-proxy', () => {
  it('tcp-proxy/url: keeps all of an address but host and port', () => {
    expect(proxy.url('postgres://a:b@example.com:5432/db?x=y')).toBe(`postgres://a:b@127.0.0.1:${proxy.port}/db?x=y`);
  });

  it('tcp-proxy/large: passes large data unchanged and an end in both directions', async () => {
    const client = dial();
    const text = 'x'.repeat(5_000_000);
    client.socket.end(text);
    await once(client.socket, 'close');
    expect(received).toBe(text);
    expect(client.got().replaceAll('re:', '')).toBe(text);
    await waitFor(() => proxy.connections.length === 0);
  });

  it('tcp-proxy/cut-some: resets only the connections whose requests carry a label', async () => {
    proxy.label('listener', (chunk) => chunk.includes('LISTEN'));
    const [listener, other] = [dial(), dial()];
    await ask(listener, 'LISTEN a');
    await ask(other, 'select 1');
    expect(proxy.cut((connection) => connection.labels.has('listener'))).toBe(1);
    await waitFor(() => listener.error()?.code === 'ECONNRESET');
    await ask(other, 'still here');
  });

  it('tcp-proxy/refuse: refuses new connections, keeps open ones, and takes new ones again', async () => {
    const before = dial();
    await ask(before, 'a');
    await proxy.refuse(true);
    const refused = dial();
    await waitFor(() => refused.error()?.code === 'ECONNREFUSED');
    await ask(before, 'b');
    await proxy.refuse(false);
    await ask(dial(), 'c');
  });

  it.each([
    { direction: 'up', reachesServer: false },
    { direction: 'down', reachesServer: true },
    { direction: 'both', reachesServer: false },
  ] as const)('tcp-proxy/blackhole-$direction: holds what goes that way until it heals', async (given) => {
    const client = dial();
    await ask(client, 'before');
    proxy.blackhole(given.direction);
    client.socket.write(' during');
    if (given.reachesServer) await waitFor(() => received === 'before during');
    await sleep(50); // Long enough for bytes that should not pass to pass.
    expect(client.got()).toBe('re:before');
    expect(received).toBe(given.reachesServer ? 'before during' : 'before');
    proxy.blackhole(false);
    await waitFor(() => client.got() === 're:beforere: during');
  });

  it('tcp-proxy/half-open: the server keeps a connection whose client has gone in a blackhole', async () => {
    const client = dial();
    await ask(client, 'hello');
    const [connection] = proxy.connections;
    connection?.blackhole('both');
    client.socket.destroy();
    await once(client.socket, 'close');
    await sleep(50); // Long enough for an end that should not pass to pass.
    const count = (): Promise<number> =>
      new Promise((resolve, reject) => server.getConnections((error, open) => (error ? reject(error) : resolve(open))));
    expect(await count()).toBe(1);
    connection?.blackhole(false);
    await waitFor(async () => (await count()) === 0);
  });

  it('tcp-proxy/end-then-reset: an end and a reset that pass at once close the connection to the server', async () => {
    const connected = once(server, 'connection');
    const client = dial();
    await ask(client, 'hello');
    const [served] = (await connected) as [Socket];
    proxy.blackhole('up');
    client.socket.destroy();
    await once(client.socket, 'close');
    // The end of the client is held; what the server goes on sending is refused, which is held as well.
    for (let i = 0; i < 3; i += 1) {
      served.write('are you there?');
      await sleep(20);
    }
    proxy.blackhole(false);
    await waitFor(() => proxy.connections.length === 0);
  });

  it('tcp-proxy/delay: adds to the time both ways take', async () => {
    const client = dial();
    await ask(client, 'warm');
    proxy.delay(60);
    const start = performance.now();
    await ask(client, 'late');
    expect(performance.now() - start).toBeGreaterThanOrEqual(119);
  });

  it('tcp-proxy/swallow: lets the request through, drops its answer and resets the connection', async () => {
    const [client, other] = [dial(), dial()];
    const swallowed = proxy.swallowAnswerAfter((chunk) => chunk.includes('commit'));
    await ask(client, 'begin');
    client.socket.write('commit');
    await swallowed;
    await waitFor(() => client.error()?.code === 'ECONNRESET');
    expect(received).toBe('begincommit');
    expect(client.got()).toBe('re:begin');
    await ask(other, 'commit');
  });

  it('tcp-proxy/swallow-lost: says when the connection is lost before the answer', async () => {
    proxy.blackhole('down');
    const client = dial();
    const swallowed = proxy.swallowAnswerAfter((chunk) => chunk.includes('commit'));
    client.socket.write('commit');
    await waitFor(() => received === 'commit');
    proxy.cutAll();
    await expect(swallowed).rejects.toThrow('lost before the server had answered');
  });
});
