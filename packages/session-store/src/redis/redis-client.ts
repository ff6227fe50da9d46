/** What is used of a connection to one server. */
export interface RedisNode {
  readonly status: string;
  call(command: string, ...args: (string | number)[]): Promise<unknown>;
}

/** What is used of a `Redis` or `Cluster` of ioredis, so that applications may have another version of it than we. */
export interface RedisClient extends RedisNode {
  readonly options: {
    readonly keyPrefix?: string | undefined;
    readonly scaleReads?: unknown;
    readonly role?: unknown;
    readonly readOnly?: unknown;
  };
  connect(): Promise<unknown>;
  disconnect(): void;
  on(event: string, listener: (...args: unknown[]) => void): unknown;
  off(event: string, listener: (...args: unknown[]) => void): unknown;
  pipeline(commands: (string | number)[][]): {
    exec(): Promise<[error: Error | null, result: unknown][] | null>;
  };
  /** Of a `Cluster`. */
  nodes?(role: 'master'): RedisNode[];
}
