import { defineProject } from 'vitest/config';

export default defineProject({
  test: {
    name: 'example-cloudflare-worker',
    include: ['test/**/*.test.ts'],
    setupFiles: ['test-support/vitest-setup'],
    testTimeout: 60_000,
  },
});
