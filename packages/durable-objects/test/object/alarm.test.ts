import { runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { TestClient } from '@tmcp/session-manager/testing';
import { expect, test } from 'vitest';
import { durableObjectSessions, SyncLayer } from '../../src/index.ts';
import type { InfoShard } from '../../src/protocol.ts';
import { rowsRead } from './rows-read.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

function shardOf(namespace: string): DurableObjectStub {
  return env.TMCP_DURABLE_OBJECT.getByName(`v2/1/0/${namespace}`);
}

/** Makes everything that is stored seem so much older. */
async function age(stub: DurableObjectStub, ms: number): Promise<void> {
  await runInDurableObject(stub, (_, { storage: { sql } }) => {
    sql.exec('UPDATE log SET at = at - ?', ms);
    sql.exec('UPDATE session SET touched = touched - ?', ms);
    sql.exec('UPDATE info_session SET used = used - ?', ms);
    sql.exec("UPDATE meta SET v = v - ? WHERE k = 'info_look'", ms);
  });
}

async function countsOf(stub: DurableObjectStub): Promise<Record<string, number>> {
  return runInDurableObject(stub, (_, { storage: { sql } }) => {
    const count = (table: string) => sql.exec<{ n: number }>(`SELECT count(*) AS n FROM ${table}`).one().n;
    const tables = ['log', 'log_to', 'session', 'info', 'info_session', 'sub'];
    return Object.fromEntries(tables.map((table) => [table, count(table)]));
  });
}

async function alarmInMs(stub: DurableObjectStub): Promise<number | undefined> {
  const at = await runInDurableObject(stub, (_, { storage }) => storage.getAlarm());
  return at === null ? undefined : at - Date.now();
}

test('alarm/forgets: what is old goes, the newest position stays, and nothing is left to wake up for', async () => {
  const namespace = 'alarm/forgets';
  const { streams, info } = durableObjectSessions({ namespace, shards: 1 }).sessionManager;
  const client = new TestClient('s');
  await client.connect(streams);
  await client.stream.cancel();
  for (const label of ['1', '2', '3']) await streams.publish(['s'], `data: ${label}\n\n`);
  await streams.publish(undefined, 'data: 4\n\n');
  await info.setLogLevel('s', 'debug');
  await info.addSubscription('s', 'mem://a');
  const shard = shardOf(namespace);
  expect(await countsOf(shard)).toEqual({ log: 4, log_to: 3, session: 1, info: 1, info_session: 1, sub: 1 });

  expect(await alarmInMs(shard)).toBeLessThanOrEqual(60_000);
  await runDurableObjectAlarm(shard);
  expect(await countsOf(shard)).toMatchObject({ log: 4, session: 1, info: 1 });
  await age(shard, 2 * 60_000 + 1_000);
  await runDurableObjectAlarm(shard);
  expect(await countsOf(shard)).toEqual({ log: 1, log_to: 0, session: 0, info: 1, info_session: 1, sub: 1 });
  // Info lives longer.
  expect(await alarmInMs(shard)).toBeGreaterThan(HOUR_MS / 2);
  await age(shard, 7 * DAY_MS);
  await runDurableObjectAlarm(shard);
  expect(await countsOf(shard)).toEqual({ log: 1, log_to: 0, session: 0, info: 0, info_session: 0, sub: 0 });
  expect(await alarmInMs(shard)).toBe(undefined);
});

test('alarm/open: a session is kept as long as its stream is open', async () => {
  const namespace = 'alarm/open';
  const { streams } = durableObjectSessions({ namespace, shards: 1 }).sessionManager;
  await new TestClient('s').connect(streams);
  await streams.publish(undefined, 'data: 1\n\n');
  const shard = shardOf(namespace);
  await age(shard, HOUR_MS);
  await runDurableObjectAlarm(shard);
  expect(await countsOf(shard)).toMatchObject({ session: 1, log: 1 });
  await streams.close();
});

test('alarm/reset: a session whose Worker is about to come back after a reset is not forgotten', async () => {
  const namespace = 'alarm/reset';
  const reported: string[] = [];
  const { streams } = durableObjectSessions({
    namespace,
    shards: 1,
    onError: ({ code }) => void reported.push(code),
  }).sessionManager;
  const client = new TestClient('s');
  await client.connect(streams);
  const shard = shardOf(namespace);
  await age(shard, HOUR_MS);
  await runInDurableObject(shard, async (_, state) => {
    await state.storage.setAlarm(Date.now() + HOUR_MS);
    await state.storage.sync();
    state.abort('reset');
  }).catch(() => undefined);
  // The alarm is the first to come to the new object.
  expect(await runDurableObjectAlarm(shardOf(namespace))).toBe(true);
  const frame = `event: message\ndata: ${JSON.stringify({ params: { label: '1' } })}\n\n`;
  await streams.publish(['s'], frame);
  await client.hasExactly(streams, ['1']);
  expect(reported).toEqual([]);
  // Who has not come back by then is looked at soon.
  expect(await alarmInMs(shardOf(namespace))).toBeLessThan(10_000);
  await streams.close();
});

test('alarm/many: what a single value of SQLite cannot name is forgotten and found as well', async () => {
  const namespace = 'alarm/many';
  const { streams } = durableObjectSessions({ namespace, shards: 1 }).sessionManager;
  const client = new TestClient('s');
  await client.connect(streams);
  const strangers = Array.from({ length: 2_500 }, (_, index) => `${index}`.padStart(1_024, '"'));
  const shard = shardOf(namespace);
  await runInDurableObject(shard, (_, { storage: { sql } }) => {
    for (const id of strangers) {
      sql.exec("INSERT INTO session VALUES (?, '', NULL, NULL, 0, 0, 1, NULL, 0, 0)", id);
    }
  });
  const frame = `event: message\ndata: ${JSON.stringify({ params: { label: '1' } })}\n\n`;
  await streams.publish([...strangers, 's'], frame);
  await client.hasExactly(streams, ['1']);
  expect(await countsOf(shard)).toMatchObject({ session: 2_501 });
  await runDurableObjectAlarm(shard);
  expect(await countsOf(shard)).toMatchObject({ session: 1 });
  await streams.close();
});

test('alarm/deleted: a deletion is remembered for longer than a write can be late, however long its session was idle', async () => {
  const namespace = 'alarm/deleted';
  const { info } = durableObjectSessions({ namespace, shards: 1 }).sessionManager;
  const shard = shardOf(namespace);
  await info.setLogLevel('s', 'debug');
  await age(shard, 7 * DAY_MS - 1_000);
  await info.delete('s');
  await age(shard, 2_000);
  await runDurableObjectAlarm(shard);
  const late = { session: 's', ttlMs: 7 * DAY_MS, ageMs: 10_000 };
  await (shard as unknown as InfoShard).setInfo({ ...late, type: 'set', field: 'logLevel', json: '"debug"' });
  expect(await countsOf(shard)).toMatchObject({ info: 0 });
});

test('alarm/cost: what starts and alarms read does not grow with the log or with stored info', async () => {
  const namespace = 'alarm/cost';
  const { streams, info } = durableObjectSessions({ namespace, shards: 1 }).sessionManager;
  const shard = shardOf(namespace);
  const reads = async (): Promise<{ start: number; alarm: number }> => {
    const start = await rowsRead(shard, (_, state) => new SyncLayer(state, env));
    await runDurableObjectAlarm(shard);
    const alarm = await rowsRead(shard, (object) => (object as SyncLayer).alarm());
    return { start, alarm };
  };
  const fill = async (count: number): Promise<void> => {
    const ids = Array.from({ length: count }, () => crypto.randomUUID());
    await Promise.all(ids.map((id) => info.setLogLevel(id, 'debug')));
    await Promise.all(ids.map((id) => streams.publish(undefined, `data: ${id}\n\n`)));
  };
  await fill(10);
  const before = await reads();
  await fill(200);
  expect(await reads()).toEqual(before);
});
