import { defineProject } from 'vitest/config';

// Whole Workers in workerd, spoken to over HTTP.
export default defineProject({
  test: {
    name: 'durable-objects (over HTTP)',
    include: ['test/http/**/*.test.ts'],
    globalSetup: ['test/http/temporary-home.ts'],
    setupFiles: ['test/http/setup.ts'],
    testTimeout: 60_000,
    hookTimeout: 30_000,
  },
});
