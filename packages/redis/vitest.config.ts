import { defineProject } from 'vitest/config';

export default defineProject({
  test: {
    name: 'redis',
    include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
    setupFiles: ['test-support/vitest-setup'],
    // Loading the sources and drivers anew for each file takes longer than many a file. Nothing of ours lives in modules.
    isolate: false,
    // Real servers: they start, crash and recover here.
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
