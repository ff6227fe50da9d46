import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { runAsServer } from './run-program.ts';
import { makeServerDirectory } from './server-account.ts';
import { missing, type Service } from './service.ts';

/** The program `openssl`. */
export const openSsl: Service<string> = {
  name: 'openssl',
  install: 'apt-get install -y openssl',
  find: () =>
    (process.env.PATH ?? '')
      .split(':')
      .map((directory) => join(directory, 'openssl'))
      .find(existsSync),
};

/** Files that a server of ours can read: a certificate for the loopback address, which is its own authority, and its key. */
export interface SelfSigned extends Disposable {
  readonly certificate: string;
  readonly key: string;
}

export async function selfSigned(): Promise<SelfSigned> {
  const program = openSsl.find();
  if (program === undefined) throw new Error(missing(openSsl));
  const home = makeServerDirectory('tmcp-certificate-');
  const certificate = join(home, 'server.crt');
  const key = join(home, 'server.key');
  await runAsServer(program, [
    ...['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=localhost'],
    ...['-addext', 'subjectAltName=IP:127.0.0.1,DNS:localhost', '-keyout', key, '-out', certificate],
  ]);
  return { certificate, key, [Symbol.dispose]: () => rmSync(home, { recursive: true, force: true }) };
}
