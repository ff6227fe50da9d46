import { randomBytes } from 'node:crypto';
import { escapeIdentifier } from 'pg';
import { dockerAnswers } from '../docker.ts';
import { startPostgres } from './postgres-server.ts';
import { queryOnce } from './query-once.ts';

/** A PostgreSQL server that tests share with others: it may be used, not harmed. */
export interface KitPostgres extends AsyncDisposable {
  readonly source: 'TEST_POSTGRES_URL' | 'testcontainers' | 'embedded';
  /** A database of its own for this call of `kitPostgres`, empty. */
  readonly url: string;
  /** @returns the address of one more empty database. */
  createDatabase(): Promise<string>;
  /** Removes what this call has made. */
  stop(): Promise<void>;
}

interface Host {
  readonly source: KitPostgres['source'];
  readonly url: string;
  readonly stop: () => Promise<void>;
}

/**
 * The server for tests that need no faults: the one that `TEST_POSTGRES_URL` names, else a container where a Docker daemon
 * answers, else one of our own.
 */
export async function kitPostgres(): Promise<KitPostgres> {
  const host = await findHost();
  const databases: string[] = [];

  async function createDatabase(): Promise<string> {
    const name = `tmcp_kit_${randomBytes(6).toString('hex')}`;
    await queryOnce(host.url, `create database ${escapeIdentifier(name)}`);
    databases.push(name);
    return Object.assign(new URL(host.url), { pathname: `/${name}` }).href;
  }

  async function stop(): Promise<void> {
    for (const name of databases.splice(0)) {
      await queryOnce(host.url, `drop database if exists ${escapeIdentifier(name)} with (force)`);
    }
    await host.stop();
  }

  return { source: host.source, url: await createDatabase(), createDatabase, stop, [Symbol.asyncDispose]: stop };
}

async function findHost(): Promise<Host> {
  const url = process.env.TEST_POSTGRES_URL;
  if (url) return { source: 'TEST_POSTGRES_URL', url, stop: async () => {} };
  if (await dockerAnswers()) return startContainer();
  const server = await startPostgres();
  return { source: 'embedded', url: server.url, stop: () => server.stop() };
}

async function startContainer(): Promise<Host> {
  const { PostgreSqlContainer } = await import('@testcontainers/postgresql');
  const container = await new PostgreSqlContainer('postgres:18-alpine').start();
  return {
    source: 'testcontainers',
    url: container.getConnectionUri(),
    stop: async () => {
      await container.stop();
    },
  };
}
