import type { Pool } from 'pg';
import { type PostgresServer, startPostgres, systemPostgres } from 'test-support';
import { describeWith } from 'test-support/vitest';
import { afterAll, beforeAll, beforeEach, describe } from 'vitest';
import type { FieldName, Patch, SessionKey, StoredRecord } from '../../src/session-driver.ts';
import { FIELD_NAMES } from '../../src/sql/columns.ts';
import { poolConnection } from '../../src/sql/pool-connection.ts';
import type { SqlSessionDriver } from '../../src/sql/sql-session-driver.ts';
import { installTable, KEY, makeDriver, openPool } from '../sql-harness.ts';

/** A change of content. */
export function content(set: Partial<Record<FieldName, string>>, ifVersion?: number): Patch {
  return { kind: 'content', set, unset: [], ifVersion };
}

/** The driver on a table that is empty before every test. */
export class DriverPlace {
  readonly #distribution: 'embedded' | 'system';
  #server: PostgresServer | undefined;
  #pool: Pool | undefined;
  #url = '';

  constructor(distribution: 'embedded' | 'system') {
    this.#distribution = distribution;
  }

  async start(): Promise<void> {
    this.#server = await startPostgres({ distribution: this.#distribution });
    this.#url = await this.#server.createDatabase();
    await installTable(this.#url);
    this.#pool = openPool({ connectionString: this.#url });
  }

  async stop(): Promise<void> {
    await this.#pool?.end();
    await this.#server?.stop();
  }

  get url(): string {
    return this.#url;
  }

  get pool(): Pool {
    if (this.#pool === undefined) throw new Error('not started');
    return this.#pool;
  }

  get driver(): SqlSessionDriver {
    return makeDriver(poolConnection(this.pool));
  }

  /** Changes the stored rows as nobody but the superuser could, without the trigger. */
  async setRow(assignments: string): Promise<void> {
    await this.pool.query('alter table public.mcp_sessions disable trigger user');
    await this.pool.query(`update public.mcp_sessions set ${assignments}`);
    await this.pool.query('alter table public.mcp_sessions enable trigger user');
  }

  /** Of the only row. */
  async stored(columns: string): Promise<Record<string, unknown>> {
    const { rows } = await this.pool.query<Record<string, unknown>>(`select ${columns} from public.mcp_sessions`);
    const [row, another] = rows;
    if (row === undefined || another !== undefined) throw new Error(`${rows.length} rows`);
    return row;
  }

  async read(): Promise<StoredRecord> {
    const record = await this.driver.read(KEY, FIELD_NAMES);
    if (record === undefined) throw new Error('the session is not there');
    return record;
  }

  async scanned(): Promise<SessionKey[]> {
    const keys: SessionKey[] = [];
    for await (const key of this.driver.scan()) keys.push(key);
    return keys;
  }
}

/** On the newest PostgreSQL, and on the one of Debian, which is some versions older. */
export function onEveryServer(body: (at: DriverPlace) => void): void {
  const on = (distribution: 'embedded' | 'system') => (): void => {
    const place = new DriverPlace(distribution);
    beforeAll(() => place.start());
    afterAll(() => place.stop());
    beforeEach(() => place.pool.query('truncate public.mcp_sessions'));
    body(place);
  };
  describe('on the PostgreSQL from npm', on('embedded'));
  describeWith(systemPostgres, "on Debian's PostgreSQL", on('system'));
}
