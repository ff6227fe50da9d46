import { defineProject } from 'vitest/config';

export default defineProject({
  test: {
    name: 'example-oauth-client',
    include: ['test/**/*.test.ts'],
    setupFiles: ['test-support/vitest-setup'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
