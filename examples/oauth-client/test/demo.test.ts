import { kitRedis, kitRedisServer, spawnNode } from 'test-support';
import { describeWith } from 'test-support/vitest';
import { describe, expect, it } from 'vitest';

const NOT_SET = {
  MCP_TS_STORAGE_TYPE: '',
  REDIS_URL: '',
  NEON_DATABASE_URL: '',
  MCP_TS_STORAGE_FILE: '',
  STORAGE_ENCRYPTION_KEY: '',
};

async function demo(environment: Record<string, string>): Promise<{ code: number | null; output: string }> {
  await using child = await spawnNode(new URL('../src/demo.ts', import.meta.url), [], { ...NOT_SET, ...environment });
  const { code } = await child.exited;
  return { code, output: child.output };
}

describe('the demo', () => {
  it('oauth-client/file: holds on a file', { timeout: 300_000 }, async () => {
    const { code, output } = await demo({});
    expect(output).toContain('7 of 7 steps held');
    expect(code).toBe(0);
  });

  it('oauth-client/failure: says what is wrong and fails', async () => {
    const { code, output } = await demo({ MCP_TS_STORAGE_TYPE: 'sqlite' });
    expect(output).toContain('MCP_TS_STORAGE_TYPE=sqlite is not supported');
    expect(code).toBe(1);
  });
});

describeWith(kitRedisServer, 'the demo on Redis', () => {
  it('oauth-client/redis: holds on Redis', { timeout: 300_000 }, async () => {
    await using redis = await kitRedis();
    const { code, output } = await demo({ REDIS_URL: redis.url });
    expect(output).toContain('7 of 7 steps held');
    expect(code).toBe(0);
  });
});
