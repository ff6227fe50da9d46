import type { DriverContext } from '../backend-options.ts';
import { configError } from '../session-errors.ts';
import { runUntil } from './attempts.ts';
import type { TableNames } from './names.ts';
import { type RowSecurity, schemaProblem, schemaStatement } from './schema-check.ts';
import type { SqlConnection } from './sql-client.ts';
import type { Row, Statement } from './statement.ts';
import type { Operation } from './to-store-error.ts';

export type SqlSettings = {
  /** `postgres` or `neon`, for messages. */
  readonly backend: string;
  readonly names: TableNames;
  readonly connection: SqlConnection;
  /** Row-level security separates users: every statement of a user runs in a transaction that names the user. */
  readonly tenants: boolean;
  /** Sees the rows of all users. Only with `tenants`, where the other one does not. */
  readonly admin: SqlConnection | undefined;
};

/** How a statement is called, and what may be done when it fails. */
export type Call = {
  /** The public name of the operation, for messages. */
  readonly name: string;
  readonly right: Operation['right'];
  /** Running it twice has the effect of running it once. */
  readonly repeatable: boolean;
};

/** Runs statements on the right client, in the right transaction, until the deadline. */
export class SqlCalls {
  readonly #settings: SqlSettings;
  readonly #context: DriverContext;

  constructor(settings: SqlSettings, context: DriverContext) {
    if (settings.tenants && settings.connection.transaction === undefined) {
      throw configError(
        "rls: 'tenant' needs a client with transactions: a pool of pg, Neon, or one with transaction()",
      );
    }
    this.#settings = settings;
    this.#context = context;
  }

  /** A statement about one user. */
  forUser(call: Call, userId: string, statement: Statement): Promise<readonly Row[]> {
    return this.attempts(call, (run) => run(userId, statement));
  }

  /** Several statements as one operation, with one deadline. A failed one rejects as the client does. */
  attempts<T>(
    call: Call,
    attempt: (run: (userId: string, statement: Statement) => Promise<readonly Row[]>) => Promise<T>,
  ): Promise<T> {
    return this.#until(call, (signal) => attempt((userId, statement) => this.#asUser(userId, statement, signal)));
  }

  /** A statement about all users. */
  async forAll(call: Call, statement: Statement): Promise<readonly Row[]> {
    const { connection, admin, tenants } = this.#settings;
    const client = tenants ? admin : connection;
    if (client === undefined) {
      throw configError(`${call.name} needs an administrative connection while tenant row-level security is on`);
    }
    return this.#until(call, (signal) => client.query(statement, signal));
  }

  /** Looks whether everything is as the statements need it, for every client that there is. */
  async checkSchema(name: string): Promise<void> {
    const { connection, admin, tenants } = this.#settings;
    await this.#check(name, connection, tenants ? 'tenant' : 'off');
    if (tenants && admin !== undefined) await this.#check(name, admin, 'admin');
  }

  #check(name: string, client: SqlConnection, security: RowSecurity): Promise<void> {
    const { names } = this.#settings;
    return this.#until({ name, right: 'select', repeatable: true }, async (signal) => {
      const [row] = await client.query(schemaStatement(names), signal);
      const problem = schemaProblem(row ?? {}, names, security);
      if (problem !== undefined) throw problem;
    });
  }

  async #asUser(userId: string, statement: Statement, signal: AbortSignal): Promise<readonly Row[]> {
    const { connection, tenants } = this.#settings;
    if (!tenants) return connection.query(statement, signal);
    const user = { text: "select set_config('mcp.user_id', $1::text, true)", values: [userId] };
    const rows = await connection.transaction?.([user, statement], signal);
    return rows ?? [];
  }

  #until<T>({ name, right, repeatable }: Call, attempt: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { backend, names } = this.#settings;
    return runUntil(this.#context.operationTimeoutMs, { backend, names, name, right }, repeatable, attempt);
  }
}
