import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';

/** Stands on the port of a server that is down, and answers as one that recovers: "the database system is starting up". */
export class StartingUp implements AsyncDisposable {
  static async on({ host, port }: { readonly host: string; readonly port: number }): Promise<StartingUp> {
    const starting = new StartingUp();
    starting.#server.listen(port, host);
    await once(starting.#server, 'listening');
    return starting;
  }

  /** When connections were begun, by `performance.now()`. */
  readonly attempts: number[] = [];
  readonly #sockets = new Set<Socket>();
  readonly #server = createServer((socket) => {
    this.attempts.push(performance.now());
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    socket.on('error', () => undefined);
    socket.once('data', () => socket.end(refusal()));
  });

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await once(this.#server, 'close');
  }
}

/** An error message of the protocol: severity, code and text. */
function refusal(): Buffer {
  const fields = ['SFATAL', 'VFATAL', 'C57P03', 'Mthe database system is starting up'];
  const body = Buffer.from(`${fields.join('\0')}\0\0`);
  const head = Buffer.from('E\0\0\0\0');
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}
