import { env } from 'cloudflare:workers';
import { expect, test } from 'vitest';
import {
  DurableObjectInfoSessionManager,
  type DurableObjectSessions,
  durableObjectSessions,
  KVInfoSessionManager,
} from '../../src/index.ts';

const level = async ({ sessionManager: { info } }: DurableObjectSessions): Promise<unknown> =>
  (async () => info.getLogLevel('s'))().catch(({ code }) => code);

test('sessions/kv: with a KV binding info is there, and the objects know nothing of it', async () => {
  const namespace = 'sessions/kv';
  const sessions = durableObjectSessions({ kv: 'TMCP_SESSION_INFO', namespace });
  await sessions.sessionManager.info.setLogLevel('s', 'debug');
  expect(await new KVInfoSessionManager({ namespace }).getLogLevel('s')).toBe('debug');
  const objects = new DurableObjectInfoSessionManager({ namespace });
  await expect(objects.getLogLevel('s')).rejects.toMatchObject({ code: 'not-found' });
  // Another namespace is in KV as well, and apart; the binding may also be handed over itself.
  expect(await level(sessions.namespace('sessions/kv/other'))).toBe('not-found');
  expect(await level(durableObjectSessions({ kv: env.TMCP_SESSION_INFO, namespace }))).toBe('debug');
});

test('sessions/kv-refused: an empty name is refused', () => {
  expect(() => durableObjectSessions({ kv: '' })).toThrow(expect.objectContaining({ code: 'invalid-option' }));
});
