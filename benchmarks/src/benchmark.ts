import type { PostgresServer } from 'test-support';

export type Benchmark = {
  readonly title: string;
  run(context: Context): Promise<Report>;
};

export type Context = {
  /** A server of our own that flushes to a real disk. */
  readonly server: PostgresServer;
  /** Median time of an update of one row with its commit. */
  readonly commitMs: number;
  /** How often each variant is measured, after a warm-up. */
  readonly rounds: number;
  readonly roundMs: number;
  /** A size to measure with; smaller when only trying out. */
  size(full: number): number;
};

export type Report = {
  /** What was measured, and how. */
  readonly method: string;
  readonly tables: readonly Table[];
  readonly targets: readonly Target[];
  readonly notes?: readonly string[];
};

export type Table = {
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
};

export type Target = {
  readonly what: string;
  readonly required: string;
  readonly measured: string;
  readonly reached: boolean;
};
