import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { Redis } from 'ioredis';
import { dockerAnswers, dockerSocket } from '../docker.ts';
import type { Service } from '../service.ts';
import { redisServer } from './redis-programs.ts';
import { startRedis } from './redis-server.ts';

/** A Redis server that tests share with others: it may be used, not harmed. */
export interface KitRedis extends AsyncDisposable {
  readonly source: 'TEST_REDIS_URL' | 'testcontainers' | 'path';
  readonly url: string;
  /** @returns a beginning for keys that nobody else has. */
  createPrefix(): string;
  /** Removes the keys under the prefixes of this call, and what it has started. */
  stop(): Promise<void>;
}

interface Host {
  readonly source: KitRedis['source'];
  readonly url: string;
  readonly stop: () => Promise<void>;
}

/** For `describeWith`: whether `kitRedis` will find a server. */
export const kitRedisServer: Service<KitRedis['source']> = {
  name: redisServer.name,
  install: redisServer.install,
  find() {
    if (process.env.TEST_REDIS_URL) return 'TEST_REDIS_URL';
    if (redisServer.find() !== undefined) return 'path';
    return existsSync(dockerSocket()) ? 'testcontainers' : undefined;
  },
};

/**
 * The server for tests that need no faults: the one that `TEST_REDIS_URL` names, else a container where a Docker daemon
 * answers, else one of our own from the PATH.
 */
export async function kitRedis(): Promise<KitRedis> {
  const host = await findHost();
  const prefixes: string[] = [];

  function createPrefix(): string {
    const prefix = `tmcp-kit-${randomBytes(6).toString('hex')}:`;
    prefixes.push(prefix);
    return prefix;
  }

  async function stop(): Promise<void> {
    if (host.source === 'TEST_REDIS_URL') await removeKeys(host.url, prefixes.splice(0));
    await host.stop();
  }

  return { source: host.source, url: host.url, createPrefix, stop, [Symbol.asyncDispose]: stop };
}

async function findHost(): Promise<Host> {
  const url = process.env.TEST_REDIS_URL;
  if (url) return { source: 'TEST_REDIS_URL', url, stop: async () => {} };
  if (await dockerAnswers()) return startContainer();
  const server = await startRedis();
  return { source: 'path', url: server.url, stop: () => server.stop() };
}

async function startContainer(): Promise<Host> {
  const { GenericContainer, Wait } = await import('testcontainers');
  const container = await new GenericContainer('redis:8-alpine')
    .withExposedPorts(6379)
    .withWaitStrategy(Wait.forLogMessage('Ready to accept connections'))
    .start();
  return {
    source: 'testcontainers',
    url: `redis://${container.getHost()}:${container.getMappedPort(6379)}`,
    stop: async () => {
      await container.stop();
    },
  };
}

async function removeKeys(url: string, prefixes: readonly string[]): Promise<void> {
  const client = new Redis(url, { maxRetriesPerRequest: 1 });
  try {
    for (const prefix of prefixes) {
      for await (const keys of client.scanStream({ match: `${prefix}*`, count: 1_000 })) {
        for (const key of keys as string[]) await client.unlink(key);
      }
    }
  } finally {
    client.disconnect();
  }
}
