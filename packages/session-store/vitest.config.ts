import { defineProject } from 'vitest/config';

export default defineProject({
  test: {
    name: 'session-store',
    include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
    setupFiles: ['test-support/vitest-setup'],
    // Loading the sources and drivers anew for each file takes longer than many a file. Nothing of ours lives in modules.
    isolate: false,
    unstubEnvs: true,
    restoreMocks: true,
    // Real servers: they start, crash and recover here.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // Of conditions that come true in their own time, on a machine that may be busy.
    expect: { poll: { timeout: 20_000 } },
  },
});
