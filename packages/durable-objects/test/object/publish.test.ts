import { runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { expect, test } from 'vitest';
import type { Shard, ShardBatch } from '../../src/protocol.ts';

const stub = (name: string) => env.TMCP_DURABLE_OBJECT.get(env.TMCP_DURABLE_OBJECT.idFromName(name));
const settings = { resumeWindowMs: 60_000, maxLogBytes: 1024 * 1024, sessionTimeoutMs: 10_000 };
const batch = (id: string, more: Partial<ShardBatch> = {}): ShardBatch => ({
  id,
  attempt: 1,
  messages: [{ data: ': 1\n\n' }],
  settings,
  ...more,
});

test('publish/epoch: a try that is repeated in another epoch is not stored, a first one is', async () => {
  const shard = stub('publish/epoch') as unknown as Shard;
  const { epoch, stored } = (await shard.publish(batch('a', { epoch: 'lost' }))) ?? {};
  expect(stored).toBe(true);
  expect(await shard.publish(batch('b', { attempt: 2, epoch: 'lost' }))).toEqual({ epoch, stored: false });
  expect(await shard.publish(batch('c', { attempt: 2, epoch }))).toEqual({ epoch, stored: true });
  // Of an older Worker, or before the first answer.
  expect(await shard.publish(batch('d', { attempt: 2 }))).toEqual({ epoch, stored: true });
});

test('publish/rolled-back: a batch that fails half-way takes no positions', async () => {
  await runInDurableObject(stub('publish/rolled-back'), async (shard, { storage: { sql } }) => {
    await shard.publish(batch('a'));
    sql.exec("CREATE TRIGGER fails BEFORE INSERT ON log WHEN NEW.seq = 3 BEGIN SELECT raise(ABORT, 'fails'); END");
    await expect(shard.publish(batch('b', { messages: [{ data: '2' }, { data: '3' }] }))).rejects.toThrow('fails');
    sql.exec('DROP TRIGGER fails');
    await shard.publish(batch('c'));
    const rows = sql.exec('SELECT seq, batch FROM log ORDER BY seq').toArray();
    expect(rows).toEqual([
      { seq: 1, batch: 'a' },
      { seq: 2, batch: 'c' },
    ]);
  });
});
