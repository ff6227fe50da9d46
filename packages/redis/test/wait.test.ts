import { Redis } from 'ioredis';
import { type RedisServer, startRedis, waitFor } from 'test-support';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { RedisDeliveryOptions } from '../src/redis-node.ts';
import { RedisStreamSessionManager } from '../src/redis-stream-session-manager.ts';

/** A master with one replica, and what happens when the replica takes its place. */

let master: RedisServer;
let replica: RedisServer;
const errors: string[] = [];

beforeEach(async () => {
  errors.length = 0;
  master = await startRedis({ settings: { 'repl-diskless-sync-delay': 0, 'repl-ping-replica-period': 1 } });
  replica = await startRedis({ settings: { replicaof: `127.0.0.1 ${master.port}` } });
  await withClient(replica, (client) =>
    waitFor(async () => /master_link_status:up/.test(await client.info('replication'))),
  );
});
afterEach(async () => {
  await replica.stop();
  await master.stop();
});

async function withClient<T>(server: RedisServer, run: (client: Redis) => Promise<T>): Promise<T> {
  const client = new Redis(server.url);
  try {
    return await run(client);
  } finally {
    client.disconnect();
  }
}

function open(server: RedisServer, options: Partial<RedisDeliveryOptions> = {}): RedisStreamSessionManager {
  return new RedisStreamSessionManager({
    url: server.url,
    sendTimeoutMs: 3_000,
    onError: ({ code }) => void errors.push(code),
    ...options,
  });
}

describe('option "wait"', () => {
  it('wait/confirmed: what was accepted is on the replica, and taking over from the master is no discontinuity', async () => {
    const wait = { replicas: 1, timeoutMs: 500 };
    const before = open(master, { wait });
    for (let message = 1; message <= 50; message += 1) await before.publish(undefined, `data: ${message}\n\n`);
    const { epoch } = await head(master);
    await master.kill();
    await withClient(replica, (client) => client.replicaof('NO', 'ONE'));
    const { epoch: kept, pos } = await head(replica);
    expect(pos).toBe('50');
    const after = open(replica, { wait: undefined });
    await after.publish(undefined, 'data: 51\n\n');
    expect(await head(replica)).toMatchObject({ epoch: kept, pos: '51' });
    expect(kept).toBe(epoch);
    await Promise.all([before.close(), after.close()]);
  });

  it('wait/unconfirmed: without it the one that takes over begins a new epoch', async () => {
    const before = open(master);
    await before.publish(undefined, 'data: 1\n\n');
    await withClient(master, (client) => client.wait(1, 1_000));
    const { epoch } = await head(master);
    await master.kill();
    await withClient(replica, (client) => client.replicaof('NO', 'ONE'));
    const after = open(replica);
    await after.publish(undefined, 'data: 2\n\n');
    expect((await head(replica)).epoch).not.toBe(epoch);
    await Promise.all([before.close(), after.close()]);
  });

  it('wait/no-replica: nothing is accepted while no replica confirms it, and each message is stored once', async () => {
    const manager = open(master, { wait: { replicas: 1, timeoutMs: 100 }, sendTimeoutMs: 20_000 });
    await manager.publish(undefined, 'data: 1\n\n');
    await replica.freeze();
    let isAccepted = false;
    const sending = manager.publish(undefined, 'data: 2\n\n').then(() => {
      isAccepted = true;
    });
    await waitFor(async () => (await head(master)).pos === '2');
    await waitFor(async () => (await head(master)).again !== undefined);
    expect(isAccepted).toBe(false);
    await replica.thaw();
    await sending;
    expect((await head(master)).pos).toBe('2');
    await manager.close();
  });
});

async function head(server: RedisServer): Promise<Record<string, string>> {
  return withClient(server, (client) => client.hgetall('{tmcp:ZGVmYXVsdA}:head'));
}
