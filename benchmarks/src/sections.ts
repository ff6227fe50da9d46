import type { Backend, BackendName } from './backends/backend.ts';
import { backendNames } from './backends/index.ts';
import { backendBenches, benches } from './benches/index.ts';
import type { Context, Report } from './benchmark.ts';

/** One section of the results: a question, and the backend that it is put to. */
export type Section = {
  /** `redis-throughput`, or `in-memory`. */
  readonly name: string;
  /** Each of these chooses it: its name, its question, its backend. */
  readonly chosenBy: readonly string[];
  readonly needs: readonly BackendName[];
  title(context: Context): string;
  run(context: Context): Promise<Report>;
};

/** All of them, in the order of the results. */
export const sections: readonly Section[] = [
  ...backendNames.flatMap(sectionsOf),
  ...Object.entries(benches).map(asked),
];

function sectionsOf(backend: BackendName): Section[] {
  return Object.entries(backendBenches).map(([question, benchmark]) => {
    const on = (context: Context): Backend => context.backend(backend);
    const name = `${backend}-${question}`;
    return {
      name,
      chosenBy: [name, question, backend],
      needs: [backend],
      title: (context) => `${on(context).title}: ${benchmark.title}`,
      run: (context) => benchmark.run(context, on(context)),
    };
  });
}

function asked([name, benchmark]: [string, (typeof benches)[string]]): Section {
  const { title, group, needs } = benchmark;
  const chosenBy = group === undefined ? [name] : [name, group];
  return { name, chosenBy, needs, title: () => title, run: (context) => benchmark.run(context) };
}
