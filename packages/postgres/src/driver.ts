import { Client, Pool } from 'pg';

/** The pool of an application: `Pool` of `pg`, or of a driver that has the same shape. */
export type PostgresPool = {
  connect(): Promise<{ release(error?: Error | boolean): void }>;
  on(event: 'error', listener: (error: Error) => void): unknown;
  removeListener(event: 'error', listener: (error: Error) => void): unknown;
};

/** One row, every value as the server wrote it. */
export type Row = readonly (string | null)[];

/** What this package needs of one connection. */
export type DriverClient = {
  /** Process id that the other end announced; differs from `pg_backend_pid()` when a pooler answers. */
  readonly processID?: number | null;
  connect(): Promise<unknown>;
  query(request: Request): Promise<{ rows: Row[] }>;
  on(event: 'error' | 'end', listener: (error?: Error) => void): unknown;
  on(event: 'notification', listener: (message: { channel: string; payload?: string | undefined }) => void): unknown;
  removeListener(event: string, listener: (...values: never[]) => void): unknown;
  end(): Promise<void>;
  readonly connection?: { readonly stream?: { destroy?(): void } };
};

export type DriverPoolClient = DriverClient & { release(error?: Error | boolean): void };

export type DriverPool = {
  connect(): Promise<DriverPoolClient>;
  on(event: 'error', listener: (error: Error) => void): unknown;
  on(event: 'connect', listener: (client: DriverClient) => void): unknown;
  removeListener(event: string, listener: (...values: never[]) => void): unknown;
  end(): Promise<void>;
  readonly options?: Readonly<Record<string, unknown>>;
  readonly Client?: new (configuration: object) => DriverClient;
};

type Request = {
  readonly text: string;
  readonly values: unknown[];
  readonly name?: string;
  readonly rowMode: 'array';
  readonly types: { getTypeParser(): (value: string) => string };
};

/** Parsers of the application (`bigint` as number, `json` as text, ...) must not change what we read. */
const AS_WRITTEN: Request['types'] = { getTypeParser: () => (value) => value };

/** Half-open connections are found by the kernel as well, not only by our deadlines. */
const KEEP_ALIVE = { keepAlive: true, keepAliveInitialDelayMillis: 10_000 };

export async function runQuery(
  client: DriverClient,
  text: string,
  values: readonly unknown[] = [],
  name?: string,
): Promise<Row[]> {
  const named = name === undefined ? {} : { name };
  const { rows } = await client.query({ text, values: [...values], ...named, rowMode: 'array', types: AS_WRITTEN });
  return rows;
}

/** Nothing connects before the first call. */
export function createPool(connectionString: string, max: number, timeoutMs: number): DriverPool {
  // No start-up options (`statement_timeout`, `options`): transaction poolers refuse connections that bring some.
  return new Pool({
    connectionString,
    max,
    connectionTimeoutMillis: timeoutMs,
    allowExitOnIdle: true,
    fallback_application_name: 'tmcp-sessions',
    ...KEEP_ALIVE,
  }) as unknown as DriverPool;
}

export function createClient(connectionString: string, timeoutMs: number): DriverClient {
  return new Client({
    connectionString,
    connectionTimeoutMillis: timeoutMs,
    fallback_application_name: 'tmcp-sessions',
    ...KEEP_ALIVE,
  }) as unknown as DriverClient;
}

/** A connection of its own to where a handed-in pool connects to, made by the driver of that pool. */
export function createClientLike(pool: DriverPool, timeoutMs: number): DriverClient {
  const options = pool.options ?? {};
  const configuration = { ...options, connectionTimeoutMillis: timeoutMs, ...KEEP_ALIVE };
  // pg hides the password from enumeration, so spreading loses it.
  if (options.password !== undefined) Object.assign(configuration, { password: options.password });
  const DriverOfPool = pool.Client ?? (Client as unknown as new (configuration: object) => DriverClient);
  return new DriverOfPool(configuration);
}

/** Ends a connection whatever its state: with a goodbye if that still gets through, in any case soon. */
export async function discard(client: DriverClient): Promise<void> {
  const destroy = setTimeout(() => client.connection?.stream?.destroy?.(), 500);
  destroy.unref();
  await client.end().catch(() => undefined);
  clearTimeout(destroy);
}
