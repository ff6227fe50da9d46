import { defineProject } from 'vitest/config';

export default defineProject({
  test: {
    name: 'core',
    include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
    // Properties run hundreds of cases, and what waits has deadlines of its own.
    testTimeout: 60_000,
    setupFiles: ['test-support/vitest-setup'],
  },
});
