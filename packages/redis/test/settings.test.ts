import type { SessionError } from '@tmcp/session-manager';
import { startRedis } from 'test-support';
import { describe, expect, it } from 'vitest';
import { RedisStreamSessionManager } from '../src/redis-stream-session-manager.ts';

async function warningsOf(settings: Record<string, string | number>): Promise<{ reported: string[]; shown: string[] }> {
  await using server = await startRedis({ settings });
  const reported: SessionError[] = [];
  const manager = new RedisStreamSessionManager({ url: server.url, onError: (error) => void reported.push(error) });
  await manager.publish(undefined, 'data: 1\n\n');
  const { ok, warnings } = await manager.health();
  await manager.close();
  expect(ok).toBe(true);
  expect(reported.filter(({ code }) => code !== 'configuration')).toEqual([]);
  const settingOf = ({ message }: SessionError): string => /"(.*?)"/.exec(message)?.[1] ?? '';
  return { reported: reported.map(settingOf), shown: warnings.map(settingOf) };
}

describe('settings of the server', () => {
  it.each([
    ['nothing, where they keep the promises', { appendonly: 'yes', maxmemory: '100mb' }, []],
    ['eviction', { appendonly: 'yes', maxmemory: '100mb', 'maxmemory-policy': 'allkeys-lru' }, ['maxmemory-policy']],
    ['no eviction without a limit', { appendonly: 'yes', 'maxmemory-policy': 'allkeys-lru' }, []],
    ['no file', { appendonly: 'no' }, ['appendonly']],
  ])('settings/warnings: reported once and shown by health(): %s', async (_, settings, expected) => {
    expect(await warningsOf(settings)).toEqual({ reported: expected, shown: expected });
  });
});
