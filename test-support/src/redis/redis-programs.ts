import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Service } from '../service.ts';

export interface RedisPrograms {
  /** Path of `redis-server` or `valkey-server`. */
  readonly server: string;
  /** For example `7.0.15`. */
  readonly version: string;
}

/** Redis or Valkey from the PATH. The service that Debian may have started is left alone. */
export const redisServer: Service<RedisPrograms> = {
  name: 'Redis',
  install: 'apt-get install -y redis-server',
  find() {
    const server = ['redis-server', 'valkey-server'].map(onThePath).find((path) => path !== undefined);
    if (server === undefined) return undefined;
    const version = /\bv=(\S+)/.exec(execFileSync(server, ['--version'], { encoding: 'utf8' }))?.[1];
    if (version === undefined) throw new Error(`${server} does not tell its version`);
    return { server, version };
  },
};

function onThePath(program: string): string | undefined {
  return [...(process.env.PATH ?? '').split(':'), '/usr/bin', '/usr/local/bin', '/opt/homebrew/bin']
    .map((directory) => join(directory, program))
    .find(existsSync);
}
