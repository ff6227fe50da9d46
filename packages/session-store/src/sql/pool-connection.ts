import { readFailure } from './driver-failure.ts';
import { rowsOf, type SqlConnection } from './sql-client.ts';
import type { Row, Statement } from './statement.ts';

type PoolClient = {
  query(text: string, values?: (string | null)[]): Promise<unknown>;
  release(error?: Error | boolean): void;
  on(event: 'error', listener: (error: Error) => void): unknown;
  removeListener(event: 'error', listener: (error: Error) => void): unknown;
};

/** What is used of a `Pool` of `pg`, and of those with the same shape. */
export type PoolLike = { connect(): Promise<PoolClient>; readonly totalCount: number };

/** A single `Client` has a `connect` as well, but does not count connections. */
export function isPool(client: unknown): client is PoolLike {
  const { connect, totalCount } = client as { connect?: unknown; totalCount?: unknown };
  return typeof connect === 'function' && typeof totalCount === 'number';
}

/** Each call has a connection of the pool for itself, so that one which does not answer can be given up. */
export function poolConnection(pool: PoolLike): SqlConnection {
  return {
    query: (statement, signal) => withClient(pool, signal, leavesConnectionUsable, (client) => run(client, statement)),
    // A connection on which a transaction failed is closed: that is what ends the transaction for certain.
    transaction: (statements, signal) =>
      withClient(
        pool,
        signal,
        () => false,
        (client) => runAll(client, statements),
      ),
  };
}

async function run(client: PoolClient, { text, values }: Statement): Promise<readonly Row[]> {
  return rowsOf(await client.query(text, [...values]));
}

async function runAll(client: PoolClient, statements: readonly Statement[]): Promise<readonly Row[]> {
  await client.query('begin');
  let rows: readonly Row[] = [];
  for (const statement of statements) rows = await run(client, statement);
  await client.query('commit');
  return rows;
}

/** The server answered with an ordinary error. */
function leavesConnectionUsable(error: unknown): boolean {
  const { state } = readFailure(error);
  return state !== undefined && !/^(08|25|57|58|F0|XX)/.test(state);
}

async function withClient<T>(
  pool: PoolLike,
  signal: AbortSignal,
  mayKeep: (error: unknown) => boolean,
  use: (client: PoolClient) => Promise<T>,
): Promise<T> {
  const client = await pool.connect();
  let isReleased = false;
  const release = (broken: boolean): void => {
    if (isReleased) return;
    isReleased = true;
    signal.removeEventListener('abort', giveUp);
    // A connection that is closed keeps its listener: its last words must not end the process.
    if (!broken) client.removeListener('error', ignore);
    client.release(broken);
  };
  const giveUp = (): void => release(true);
  client.on('error', ignore);
  if (signal.aborted) {
    release(false);
    throw signal.reason;
  }
  signal.addEventListener('abort', giveUp);
  try {
    const result = await use(client);
    release(false);
    return result;
  } catch (error) {
    release(!mayKeep(error));
    throw error;
  }
}

/** The query that runs rejects with the same error. */
function ignore(): void {}
