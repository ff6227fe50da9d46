import { qualified, quoted } from './names.ts';

/** The documented tables of session info. */
export type InfoTableNames = {
  readonly clientCapabilities: string;
  readonly clientInfo: string;
  readonly logLevel: string;
  readonly subscriptions: string;
};

export const DEFAULT_INFO_TABLES: InfoTableNames = {
  clientCapabilities: 'tmcp_session_client_capabilities',
  clientInfo: 'tmcp_session_client_info',
  logLevel: 'tmcp_session_log_level',
  subscriptions: 'tmcp_session_subscriptions',
};

/** Qualified, quoted names of everything that holds session info. */
export type InfoNames = InfoTableNames & {
  readonly lifetimes: string;
  readonly migrations: string;
  /** Quoted, but not qualified: indexes stand in the schema of their table. */
  readonly subscriptionsOfSession: string;
  readonly lifetimesByExpiry: string;
};

/** What is not documented stands in tables that are named after that of the client info. */
export function infoNames(schema: string, tables: InfoTableNames): InfoNames {
  const name = (table: string): string => qualified(schema, table);
  return {
    clientCapabilities: name(tables.clientCapabilities),
    clientInfo: name(tables.clientInfo),
    logLevel: name(tables.logLevel),
    subscriptions: name(tables.subscriptions),
    lifetimes: name(`${tables.clientInfo}_lifetimes`),
    migrations: name(infoMigrationsTable(tables)),
    subscriptionsOfSession: quoted(`${tables.subscriptions}_of_session`),
    lifetimesByExpiry: quoted(`${tables.clientInfo}_lifetimes_expiry`),
  };
}

/** Its place tells which schema the tables are in. */
export function infoMigrationsTable(tables: InfoTableNames): string {
  return `${tables.clientInfo}_migrations`;
}
