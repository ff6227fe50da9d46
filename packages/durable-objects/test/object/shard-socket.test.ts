import { env } from 'cloudflare:workers';
import type { SessionError } from '@tmcp/session-manager';
import { expect, test } from 'vitest';
import { PATHS, PROTOCOL, type ToWorker } from '../../src/protocol.ts';
import { ShardSocket } from '../../src/worker/shard-socket.ts';
import type { ShardStub } from '../../src/worker/shards.ts';

test('shard-socket/odd-failure: a connection that fails like no other is tried again, and reported', async () => {
  const shard = env.TMCP_DURABLE_OBJECT.getByName('shard-socket/odd-failure');
  const reported: SessionError[] = [];
  let heard: ToWorker['type'][] = [];
  const odd = new TypeError('what no shard answers');
  let connections = 0;
  let isBack = false;
  const socket = new ShardSocket({
    stub: () => shard as unknown as ShardStub,
    address: () => {
      connections += 1;
      return `${PATHS.stream}?${new URLSearchParams({ p: String(PROTOCOL), session: 's', claim: `${connections}` })}`;
    },
    connectTimeoutMs: 5_000,
    onMessage: ({ type }) => void heard.push(type),
    report: (error) => void reported.push(error),
    onReconnect: () => {
      isBack = true;
    },
  });
  await socket.open();
  const { accept } = WebSocket.prototype;
  WebSocket.prototype.accept = () => {
    WebSocket.prototype.accept = accept;
    throw odd;
  };
  socket.reopen();
  await expect.poll(() => isBack, { timeout: 10_000 }).toBe(true);
  expect(reported).toMatchObject([{ code: 'unavailable', cause: odd }]);
  expect(connections).toBe(3);
  // It is in use: what was claimed last does not wait for the others.
  heard = [];
  socket.send({ type: 'impatient' });
  await expect.poll(() => heard, { timeout: 10_000 }).toContain('begin');
  socket.close();
});
