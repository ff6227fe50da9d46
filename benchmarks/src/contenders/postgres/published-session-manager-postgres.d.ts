/** The part of the published `@tmcp/session-manager-postgres` 0.3.0 that benchmarks call. */
export declare class PostgresStreamSessionManager {
  constructor(options: { connectionString: string; tableName?: string; create?: boolean });
  create(id: string, controller: ReadableStreamDefaultController): Promise<void>;
  delete(id: string): Promise<void>;
  has(id: string): Promise<boolean>;
  send(sessions: string[] | undefined, data: string): Promise<void>;
}

type Info = Readonly<Record<string, unknown>>;

export declare class PostgresInfoSessionManager {
  constructor(options: { connectionString: string });
  getClientInfo(id: string): Promise<Info>;
  setClientInfo(id: string, info: Info): Promise<void>;
  getClientCapabilities(id: string): Promise<Info>;
  setClientCapabilities(id: string, capabilities: Info): Promise<void>;
  getLogLevel(id: string): Promise<string>;
  setLogLevel(id: string, level: string): Promise<void>;
}
