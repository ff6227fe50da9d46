/** Servers that the same questions are put to. */
export type BackendName = 'postgres' | 'redis';

export type Backend = {
  readonly name: BackendName;
  /** For headings: `PostgreSQL`. */
  readonly title: string;
  /** Median time of an update of one row with its commit, where there is such a thing. */
  readonly commitMs: number | undefined;
  /** What the figures depend on, one row each. */
  readonly description: readonly [what: string, value: string][];
  createPlace(options?: PlaceOptions): Promise<Place>;
  stop(): Promise<void>;
};

export type PlaceOptions = {
  /** Has the server write to its disk what it does not write by default. */
  readonly persistent?: boolean;
};

/** Where one contender is alone: nothing that others do wakes its listeners. */
export type Place = AsyncDisposable & { readonly url: string };
