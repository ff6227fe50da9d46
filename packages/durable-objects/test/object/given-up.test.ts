import { runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { TestClient } from '@tmcp/session-manager/testing';
import { expect, test } from 'vitest';
import { DurableObjectStreamSessionManager } from '../../src/index.ts';

const shardOf = (namespace: string) => env.TMCP_DURABLE_OBJECT.getByName(`v2/1/0/${namespace}`);

test('given-up/before-claim: streams that are given up while their creates wait hold no session', async () => {
  const streams = new DurableObjectStreamSessionManager({ namespace: 'given-up', shards: 1 });
  const clients = ['first', 'second', 'third'].map((id) => new TestClient(id));
  // Creates of one request take turns: when the manager closes, the first is on its way and the others are not.
  for (const client of clients) client.open(streams);
  await streams.close();
  for (const client of clients) await client.stream.ends();
  await runInDurableObject(shardOf('given-up'), (_, { storage: { sql } }) => {
    expect(sql.exec('SELECT sid FROM session WHERE claim IS NOT NULL').toArray()).toEqual([]);
  });
});
