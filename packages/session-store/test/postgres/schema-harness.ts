import { SessionStoreError } from '../../src/errors.ts';
import { poolConnection } from '../../src/sql/pool-connection.ts';
import type { SqlSessionDriver } from '../../src/sql/sql-session-driver.ts';
import { type DriverOptions, makeDriver, openPool } from '../sql-harness.ts';

/** A driver on a pool of its own, which ends with `use`. */
export async function withDriver<T>(
  url: string,
  use: (driver: SqlSessionDriver) => Promise<T>,
  options: DriverOptions = {},
): Promise<T> {
  const pool = openPool({ connectionString: url, max: 4 });
  try {
    return await use(makeDriver(poolConnection(pool), options));
  } finally {
    await pool.end();
  }
}

/** What `init` rejects with, as code and message. */
export function problemOf(url: string, options: DriverOptions = {}): Promise<string | undefined> {
  return withDriver(
    url,
    (driver) =>
      driver.init().then(
        () => undefined,
        (error: unknown) => (SessionStoreError.is(error) ? `${error.code}: ${error.message}` : String(error)),
      ),
    options,
  );
}
