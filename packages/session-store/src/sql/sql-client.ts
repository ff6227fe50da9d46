import type { Row, Statement } from './statement.ts';

/** What a query answers: `{ rows }` as `pg` does, or the rows themselves. */
export type QueryAnswer = { readonly rows: readonly unknown[] } | readonly unknown[];

/** Runs one statement whose values are text or null, as `$1`, `$2` and so on. */
export type QueryFunction = (text: string, values: (string | null)[]) => PromiseLike<QueryAnswer>;

/**
 * A client of PostgreSQL: a `Pool` or `Client` of `pg`, or anything with such a `query`. It stays the caller's: it is
 * never configured or ended.
 */
export type SqlClient = {
  query(text: string, values: (string | null)[]): PromiseLike<QueryAnswer>;
  /** Runs statements as one transaction, and answers in their order. Needed for `rls: 'tenant'`; a pool of `pg` needs none. */
  transaction?(
    statements: readonly { readonly text: string; readonly values: (string | null)[] }[],
  ): PromiseLike<readonly QueryAnswer[]>;
};

/** What the driver needs of a client. An aborted signal means that nobody waits for the answer any more. */
export type SqlConnection = {
  query(statement: Statement, signal: AbortSignal): Promise<readonly Row[]>;
  /** One transaction, answers with what its last statement does. */
  transaction?(statements: readonly Statement[], signal: AbortSignal): Promise<readonly Row[]>;
};

export function rowsOf(answer: unknown): readonly Row[] {
  const rows: unknown = Array.isArray(answer) ? answer : (answer as { rows?: unknown } | null | undefined)?.rows;
  if (!Array.isArray(rows)) throw new TypeError('the query function answered without rows');
  return rows as readonly Row[];
}

/** A client as it was handed in. */
export function connectionOf(client: SqlClient | QueryFunction): SqlConnection {
  if (typeof client === 'function') {
    return { query: async ({ text, values }) => rowsOf(await client(text, [...values])) };
  }
  const query: SqlConnection['query'] = async ({ text, values }) => rowsOf(await client.query(text, [...values]));
  if (client.transaction === undefined) return { query };
  return {
    query,
    transaction: async (statements) => {
      const answers = await client.transaction?.(statements.map(({ text, values }) => ({ text, values: [...values] })));
      return rowsOf(answers?.at(-1));
    },
  };
}
