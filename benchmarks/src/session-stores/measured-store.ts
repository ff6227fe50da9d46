/** What benchmarks ask of a store of client sessions, ours or the published one. */
export type MeasuredStore = {
  create(session: SampleSession): Promise<void>;
  /** With credentials. */
  get(userId: string, sessionId: string): Promise<SampleSession | null>;
  /** All sessions of a user with credentials. @returns how many they are */
  list(userId: string): Promise<number>;
  /** The same without credentials, where that can be asked for. @returns how many they are */
  listOpen?(userId: string): Promise<number>;
  /** What is done after tokens were refreshed. */
  update(userId: string, sessionId: string, change: SampleChange): Promise<void>;
  /** Adds one to a number in the headers: read, add, write, and again when the store tells that it has changed meanwhile. */
  increment(userId: string, sessionId: string): Promise<void>;
  close(): Promise<void>;
};

export type SampleTokens = {
  readonly access_token: string;
  readonly token_type: string;
  readonly refresh_token: string;
  readonly expires_in: number;
};

/** A session with the fields that both have, under our names. */
export type SampleSession = {
  readonly userId: string;
  readonly sessionId: string;
  readonly serverId: string;
  readonly serverName: string;
  readonly serverUrl: string;
  readonly callbackUrl: string;
  readonly createdAt: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly tokens: SampleTokens;
  readonly clientInformation: {
    readonly client_id: string;
    readonly redirect_uris: string[];
    /** Empty, as servers send it. */
    readonly contacts: string[];
  };
};

export type SampleChange = Pick<SampleSession, 'serverName' | 'tokens'>;

/** The header that `increment` counts in. */
export const COUNTER = 'x-count';
