import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { infoTtlRule, type SessionError } from '@tmcp/session-manager';
import {
  openSsl,
  type PostgresServer,
  queryOnce,
  requireService,
  type SelfSigned,
  selfSigned,
  startPostgres,
  waitFor,
} from 'test-support';
import {
  describeReadme,
  initialize,
  knownOptions,
  Markdown,
  optionRows,
  ProbedStream,
  quotedInColumn,
  resumes,
  saysHello,
  tellsEachTransportOnce,
} from 'test-support/readme';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as exported from '../src/index.ts';
import {
  PostgresInfoSessionManager,
  PostgresStreamSessionManager,
  PostgresSubscriptionManager,
  postgresSessions,
} from '../src/index.ts';
import { postgresDeliveryRules } from '../src/postgres-node.ts';

const README = new URL('../README.md', import.meta.url);
const markdown = new Markdown(readFileSync(README, 'utf8'));
const CLI = fileURLToPath(new URL('../src/cli.ts', import.meta.url));

let server: PostgresServer;
let certificate: SelfSigned | undefined;

beforeAll(async () => {
  certificate = requireService(openSsl) === undefined ? undefined : await selfSigned();
  const tls = certificate && { ssl: true, ssl_cert_file: certificate.certificate, ssl_key_file: certificate.key };
  server = await startPostgres({ settings: { ...tls } });
});
afterAll(async () => {
  await server.stop();
  certificate?.[Symbol.dispose]();
});

/** What the command line prints. */
async function printedSql(...options: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, [CLI, 'sql', ...options]);
  return stdout;
}

describeReadme({
  readme: README,
  env: async ({ heading, text }, skip) => {
    const DATABASE_URL = await server.createDatabase();
    if (text.includes('create: false')) await queryOnce(DATABASE_URL, await printedSql());
    if (heading !== 'Password and TLS') return { DATABASE_URL, DATABASE_DIRECT_URL: DATABASE_URL };
    return { DATABASE_URL, DATABASE_CA: certificate?.certificate ?? skip('openssl is missing') };
  },
  servers: {
    'Set-up': saysHello,
    'HTTP and SSE together': tellsEachTransportOnce,
    'Resume with Last-Event-ID': resumes,
    'Health and shutdown': async ({ url }) => {
      const session = await initialize(`${url}/mcp`);
      await using _stream = await ProbedStream.open(`${url}/mcp`, { 'mcp-session-id': session });
      expect(await (await fetch(`${url}/health`)).json()).toEqual({ ok: true });
      const { streams } = (await (await fetch(`${url}/stats`)).json()) as { streams: object };
      expect(quotedInColumn(markdown, 'What to watch')).toEqual(expect.arrayContaining(Object.keys(streams)));
    },
  },
  sql: async ({ text }) => {
    const url = await server.createDatabase();
    await server.query("create role app login password 'app'");
    await queryOnce(url, await printedSql());
    await queryOnce(url, text);
    await useEverything(Object.assign(new URL(url), { username: 'app', password: 'app' }).href, url);
  },
  commands: {
    'npm install ': (command) => {
      const { name, dependencies, devDependencies, peerDependencies } = JSON.parse(
        readFileSync(new URL('../package.json', import.meta.url), 'utf8'),
      ) as Record<string, Record<string, string>>;
      const known = [name, ...Object.keys({ ...dependencies, ...devDependencies, ...peerDependencies })];
      expect(known).toEqual(expect.arrayContaining(command.split(' ').slice(2)));
    },
    'npx tmcp-sessions-postgres sql | psql "$DATABASE_URL"': async () => {
      const url = await server.createDatabase();
      for (let time = 0; time < 2; time += 1) await queryOnce(url, await printedSql());
      await useEverything(url, url);
    },
  },
});

/** Sends, stores and cleans up with the rights of a role. @param url the same database, for somebody who may look at it */
async function useEverything(connectionString: string, url: string): Promise<void> {
  const reported: SessionError[] = [];
  const sessions = postgresSessions({
    connectionString,
    create: false,
    heartbeatMs: 50,
    resumeWindowMs: 100,
    onError: (error) => reported.push(error),
  });
  const { streams, info } = sessions.sessionManager;
  const received: Uint8Array[] = [];
  for (let life = 0; life < 2; life += 1) {
    const body = new ReadableStream({
      start: (controller) => streams.create('a', controller),
      cancel: () => streams.delete('a'),
    });
    const reader = body.getReader();
    for (const size of [10, 10_000, 100_000]) await streams.publish(['a'], `data: ${'x'.repeat(size)}\n\n`);
    for (let frame = 0; frame < 3; frame += 1) received.push((await reader.read()).value as Uint8Array);
    await reader.cancel();
  }
  await info.setClientInfo('a', { name: 'client', version: '1.0.0' });
  await info.addSubscription('a', 'test://resource');
  await info.removeSubscription('a', 'test://resource');
  await info.delete('a');
  await sessions.subscriptionManager.publish({ jsonrpc: '2.0', method: 'notifications/tools/list_changed' });
  await streams.delete('a');
  // Long enough for the log to be trimmed a few times.
  await waitFor(async () => (await queryOnce(url, 'select from tmcp_sessions_head where trimmed > 0')).length > 0);
  await sessions.close();
  expect(received).toHaveLength(6);
  expect(reported).toEqual([]);
}

describe('tables of the README', () => {
  const owners = {
    streams: knownOptions((options) => new PostgresStreamSessionManager(options)),
    subscriptions: knownOptions((options) => new PostgresSubscriptionManager(options)),
    info: knownOptions((options) => new PostgresInfoSessionManager(options)),
  };
  const rows = optionRows(markdown, Object.keys(owners));

  it('options: each is listed once, with those that know it', () => {
    expect(rows.map(({ name }) => name).sort()).toEqual(knownOptions((options) => postgresSessions(options)).sort());
    for (const [owner, names] of Object.entries(owners)) {
      const listed = rows.filter((row) => row.owners.includes(owner)).map(({ name }) => name);
      expect(listed.sort(), owner).toEqual(names.sort());
    }
  });

  it('options: defaults are those of the code', () => {
    const rules: Readonly<Record<string, { readonly fallback: unknown }>> = {
      ...postgresDeliveryRules,
      infoTtlMs: infoTtlRule,
    };
    // Described in words.
    const inWords = ['listenConnectionString', 'maxConnections', 'onError', 'schema', 'tableNames'];
    for (const { name, fallback } of rows.filter((row) => !inWords.includes(row.name))) {
      expect(fallback, name).toBe(String(rules[name]?.fallback ?? ''));
    }
  });

  it('errors: each code of the core is listed once', () => {
    const core = new Markdown(readFileSync(new URL('../../core/README.md', import.meta.url), 'utf8'));
    expect(quotedInColumn(markdown, 'Errors').sort()).toEqual(quotedInColumn(core, 'Errors').sort());
  });

  it('schema: each table is listed', async () => {
    const url = await server.createDatabase();
    await queryOnce(url, await printedSql());
    const tables = await queryOnce(url, "select tablename::text as name from pg_tables where schemaname = 'public'");
    expect(quotedInColumn(markdown, 'Database schema', 1).sort()).toEqual(tables.map(({ name }) => name).sort());
  });

  it('exports: each value is listed once', () => {
    const listed = quotedInColumn(markdown, 'API').map((name) => name.replace('(options)', ''));
    expect(listed.sort()).toEqual(Object.keys(exported).sort());
  });
});
