import { once } from 'node:events';
import { createServer } from 'node:net';

/**
 * A loopback port that nobody listens on.
 *
 * From below the range that systems take for outgoing connections: a server that is restarted on its port must find it
 * free, and a client that knocks on an ephemeral port of its own host while nobody listens can connect to itself.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = 15_000 + Math.floor(Math.random() * 17_000);
    if (await canListen(port)) return port;
  }
}

/** Whether nobody listens on this loopback port. */
export async function canListen(port: number): Promise<boolean> {
  const server = createServer();
  try {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    return true;
  } catch {
    return false;
  } finally {
    server.close();
  }
}
