import { defineProject } from 'vitest/config';

export default defineProject({
  test: {
    name: 'redis',
    include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
    setupFiles: ['test-support/vitest-setup'],
    // Real servers: they start, crash and recover here.
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
