import { configError } from '../session-errors.ts';
import { rowsOf, type SqlConnection } from '../sql/sql-client.ts';

/** A query that is sent when it is awaited, or with others in a transaction. */
type LazyQuery = PromiseLike<unknown>;

/** What `neon(url)` of `@neondatabase/serverless` answers. */
export type NeonSql = {
  query(text: string, values?: unknown[], options?: NeonCallOptions): LazyQuery;
  transaction(queries: never, options?: NeonCallOptions): Promise<unknown[]>;
};

type NeonCallOptions = { arrayMode?: false; fullResults?: false; fetchOptions?: Record<string, unknown> };

/** Neon over HTTP: a request per statement, or per transaction. The deadline ends the request. */
export function neonConnection(sql: NeonSql): SqlConnection {
  if (typeof sql?.query !== 'function' || typeof sql.transaction !== 'function') {
    throw configError('The neon backend needs what neon(connectionString) of @neondatabase/serverless returns');
  }
  // The application may have set up its function for arrays or full results.
  const options = (signal: AbortSignal): NeonCallOptions => ({
    arrayMode: false,
    fullResults: false,
    fetchOptions: { signal },
  });
  return {
    query: async ({ text, values }, signal) => rowsOf(await sql.query(text, [...values], options(signal))),
    transaction: async (statements, signal) => {
      const queries = statements.map(({ text, values }) => sql.query(text, [...values]));
      const answers = await sql.transaction(queries as never, options(signal));
      return rowsOf(answers.at(-1));
    },
  };
}
