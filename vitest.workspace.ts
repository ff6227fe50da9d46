import { defineConfig } from 'vitest/config';

// vitest 4 does not look for workspace files by itself: every script names this file with `--config`.
export default defineConfig({
  test: {
    projects: [
      'packages/*/vitest*.config.ts',
      'examples/*/vitest*.config.ts',
      'benchmarks/vitest*.config.ts',
      'test-support/vitest*.config.ts',
    ],
  },
});
