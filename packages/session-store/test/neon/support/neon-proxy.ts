import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { neonConfig } from '@neondatabase/serverless';
import pg from 'pg';

/**
 * What happens to the next requests, one each:
 *
 * - a status: that answer, without running anything
 * - `html`: a page with status 200 in place of the answer, after it ran
 * - `cut-before`, `cut-after`: the connection ends, before or after it ran
 * - `truncate`: half of the answer, then the end of the connection
 * - `hang`: no answer, nothing runs
 */
export type Fault = number | 'html' | 'cut-before' | 'cut-after' | 'truncate' | 'hang';

type Query = { readonly query: string; readonly params: (string | null)[] };
export type ProxyRequest = { readonly queries: readonly Query[]; readonly isBatch: boolean; readonly bytes: number };

/**
 * Neon's HTTP endpoint in front of an ordinary PostgreSQL server, as `@neondatabase/serverless` 1.x speaks to it. Who
 * asks is told by the connection string in the headers; which server answers was set at the start.
 */
export class NeonProxy {
  readonly requests: ProxyRequest[] = [];
  readonly faults: Fault[] = [];
  readonly #server: Server;
  readonly #target: URL;
  readonly #pools: Map<string, pg.Pool> = new Map();

  private constructor(target: string) {
    this.#target = new URL(target);
    this.#server = createServer((request, response) => {
      this.#serve(request, response).catch((error: unknown) => {
        response.destroy(error instanceof Error ? error : undefined);
      });
    });
  }

  /** @param target address of any database of the server */
  static async start(target: string): Promise<NeonProxy> {
    const proxy = new NeonProxy(target);
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve));
    // Global to the driver, but the same for all proxies: each connection string names its own.
    neonConfig.fetchEndpoint = (host, port) => `http://${host}:${port}/sql`;
    return proxy;
  }

  /** A connection string for the driver, from one for the server. */
  urlOf(serverUrl: string): string {
    const { port } = this.#server.address() as AddressInfo;
    const url = new URL(serverUrl);
    url.host = `127.0.0.1:${port}`;
    url.search = '?sslmode=verify-full&channel_binding=require';
    return url.href;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
    await Promise.all([...this.#pools.values()].map((pool) => pool.end()));
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method !== 'POST' || request.url !== '/sql') return void response.writeHead(404).end();
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const text = Buffer.concat(chunks).toString();
    const body = JSON.parse(text) as Query | { readonly queries: readonly Query[] };
    const isBatch = 'queries' in body;
    const queries = isBatch ? body.queries : [body];
    this.requests.push({ queries, isBatch, bytes: text.length });

    const fault = this.faults.shift();
    if (typeof fault === 'number') {
      // What stands between client and server may quote what it was sent.
      const page = `<html>${String(request.headers['neon-connection-string'])} ${text}</html>`;
      return void response.writeHead(fault, { 'content-type': 'text/html' }).end(page);
    }
    if (fault === 'cut-before') return void request.socket.destroy();
    if (fault === 'hang') return;

    const [status, answer] = await this.#run(request, queries, isBatch);
    if (fault === 'cut-after') return void request.socket.destroy();
    const answerText = JSON.stringify(answer);
    if (fault === 'html') return void response.writeHead(200).end(`<html>${answerText}</html>`);
    response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(answerText) });
    if (fault !== 'truncate') return void response.end(answerText);
    response.write(answerText.slice(0, answerText.length / 2), () => request.socket.destroy());
  }

  async #run(request: IncomingMessage, queries: readonly Query[], isBatch: boolean): Promise<[number, unknown]> {
    let client: pg.PoolClient | undefined;
    try {
      client = await this.#poolOf(String(request.headers['neon-connection-string'])).connect();
      if (!isBatch) return [200, await runQuery(client, queries[0] as Query)];
      await client.query(beginning(request));
      const results: unknown[] = [];
      for (const query of queries) results.push(await runQuery(client, query));
      await client.query('commit');
      return [200, { results }];
    } catch (error) {
      if (isBatch) await client?.query('rollback').catch(() => undefined);
      return [400, errorBody(error)];
    } finally {
      client?.release();
    }
  }

  #poolOf(connectionString: string): pg.Pool {
    const { username, password, pathname } = new URL(connectionString);
    const url = new URL(this.#target);
    Object.assign(url, { username, password, pathname, search: '' });
    const pool = this.#pools.get(url.href) ?? new pg.Pool({ connectionString: url.href, max: 10 });
    if (!this.#pools.has(url.href)) pool.on('error', () => undefined); // A server that tests stop ends idle connections.
    this.#pools.set(url.href, pool);
    return pool;
  }
}

const LEVELS: Readonly<Record<string, string>> = {
  ReadUncommitted: 'read uncommitted',
  ReadCommitted: 'read committed',
  RepeatableRead: 'repeatable read',
  Serializable: 'serializable',
};

function beginning({ headers }: IncomingMessage): string {
  const level = LEVELS[String(headers['neon-batch-isolation-level'])];
  return [
    'begin',
    level === undefined ? '' : `isolation level ${level}`,
    headers['neon-batch-read-only'] === 'true' ? 'read only' : '',
    headers['neon-batch-deferrable'] === 'true' ? 'deferrable' : '',
  ].join(' ');
}

async function runQuery(client: pg.PoolClient, { query, params }: Query): Promise<unknown> {
  const { fields, rows, rowCount, command } = await client.query({
    text: query,
    values: params,
    rowMode: 'array',
    types: { getTypeParser: () => (value: string) => value },
    // Two statements in one query are refused, as Neon does it.
    queryMode: 'extended',
  } as pg.QueryArrayConfig);
  return { fields, rows, rowCount, command, rowAsArray: true };
}

const ERROR_FIELDS = [
  ...['severity', 'code', 'detail', 'hint', 'position', 'internalPosition', 'internalQuery', 'where', 'schema'],
  ...['table', 'column', 'dataType', 'constraint', 'file', 'line', 'routine'],
];

function errorBody(error: unknown): Record<string, unknown> {
  const fields = error as Record<string, unknown>;
  return {
    message: error instanceof Error ? error.message : String(error),
    ...Object.fromEntries(ERROR_FIELDS.map((name) => [name, fields[name] ?? null])),
  };
}
