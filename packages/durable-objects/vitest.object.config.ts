import { cloudflareTest } from '@cloudflare/vitest-plugin';
import { defineProject } from 'vitest/config';

// Tests that run inside workerd, beside the objects.
export default defineProject({
  plugins: [
    cloudflareTest({ main: './test/object/worker.ts', wrangler: { configPath: './test/object/wrangler.jsonc' } }),
  ],
  test: {
    name: 'durable-objects (in workerd)',
    include: ['test/object/**/*.test.ts'],
    testTimeout: 60_000,
    // Files have nothing in common but workerd itself: their objects have other names. Starting one for each takes longer.
    isolate: false,
  },
});
