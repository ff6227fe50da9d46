import type { Backend, BackendName } from './backends/backend.ts';

/** A question that is put to one backend after the other. */
export type BackendBenchmark = {
  /** Without the name of the backend. */
  readonly title: string;
  run(context: Context, backend: Backend): Promise<Report>;
};

/** A question that is asked once. */
export type Benchmark = {
  readonly title: string;
  /** Chooses it together with others. */
  readonly group?: string;
  /** The backends that it needs. */
  readonly needs: readonly BackendName[];
  run(context: Context): Promise<Report>;
};

export type Context = {
  /** Those that the chosen benchmarks need. */
  backend(name: BackendName): Backend;
  /** How often each variant is measured, after it has warmed up. */
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
