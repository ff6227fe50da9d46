import { Client } from 'pg';

export type Row = Record<string, unknown>;

/** One statement on a connection of its own. */
export async function queryOnce<R extends Row = Row>(url: string, sql: string, values: unknown[] = []): Promise<R[]> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 10_000 });
  // A server that is stopped on purpose ends this connection too; the statement itself rejects then.
  client.on('error', () => {});
  await client.connect();
  try {
    return (await client.query<R>(sql, values)).rows;
  } finally {
    await client.end();
  }
}
