import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

// The processes that tests start run our sources as they are: what Node has made of them once is kept for the next one.
process.env.NODE_COMPILE_CACHE ??= fileURLToPath(new URL('node_modules/.cache/compile', import.meta.url));

// vitest 4 does not look for workspace files by itself: every script names this file with `--config`.
export default defineConfig({
  test: {
    // Most tests wait for servers rather than compute: on two cores, vitest alone would run one file at a time.
    maxWorkers: Math.max(3, Math.floor(availableParallelism() / 2)),
    projects: [
      'packages/*/vitest*.config.ts',
      'examples/*/vitest*.config.ts',
      'benchmarks/vitest*.config.ts',
      'test-support/vitest*.config.ts',
    ],
  },
});
