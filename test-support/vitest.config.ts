import { defineProject } from 'vitest/config';

export default defineProject({
  test: {
    name: 'test-support',
    include: ['test/**/*.test.ts'],
    setupFiles: ['./vitest-setup.ts'],
    // A first start on a new machine runs initdb.
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
