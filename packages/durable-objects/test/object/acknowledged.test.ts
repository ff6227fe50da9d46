import { runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { TestClient } from '@tmcp/session-manager/testing';
import { expect, test } from 'vitest';
import { DurableObjectStreamSessionManager } from '../../src/index.ts';

test('acknowledged/heartbeat: a heartbeat after a message its shard knows how far the stream is', async () => {
  const namespace = 'acknowledged/heartbeat';
  const streams = new DurableObjectStreamSessionManager({ namespace, shards: 1, heartbeatMs: 50 });
  const shard = env.TMCP_DURABLE_OBJECT.getByName(`v2/1/0/${namespace}`);
  const acknowledged = (): Promise<unknown> =>
    runInDurableObject(shard, (_, state) => state.getWebSockets('streams')[0]?.deserializeAttachment().acked);
  const client = new TestClient('s');
  await client.connect(streams);
  await client.drain(streams);
  for (const position of [2, 3]) {
    await streams.publish(['s'], `event: message\ndata: {"params":{"label":"${position}"}}\n\n`);
    await client.receives(`${position}`);
    // Not with the tick of keep-alives, which comes each 10 s.
    await expect.poll(acknowledged, { timeout: 8_000 }).toBe(position);
  }
  await streams.close();
});
