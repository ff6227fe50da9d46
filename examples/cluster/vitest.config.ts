import { defineProject } from 'vitest/config';

export default defineProject({
  test: {
    name: 'example-cluster',
    include: ['test/**/*.test.ts'],
    setupFiles: ['test-support/vitest-setup'],
    testTimeout: 60_000,
    // A first start on a new machine runs initdb.
    hookTimeout: 60_000,
  },
});
