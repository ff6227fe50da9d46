import { setTimeout as sleep } from 'node:timers/promises';
import type { MaintenanceRequest } from '@tmcp/session-manager';
import { type KitPostgres, kitPostgres, queryOnce } from 'test-support';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PostgresConnection } from '../src/postgres-connection.ts';
import { closeAfterEach, frame, type OpenBackplane, openBackplane, Producer, unique } from './harness.ts';

let postgres: KitPostgres;
beforeAll(async () => {
  postgres = await kitPostgres();
});
afterAll(() => postgres.stop());
closeAfterEach();

const open = (namespace = unique('ns')): Promise<OpenBackplane> =>
  openBackplane({ connectionString: postgres.url }, { namespace });

const sql = (text: string, values: unknown[] = []): Promise<Record<string, unknown>[]> =>
  queryOnce(postgres.url, text, values);

const maintain = ({ backplane }: OpenBackplane, change: Partial<MaintenanceRequest> = {}) =>
  backplane.maintain({
    node: 'me',
    asOf: Date.now() + 500,
    sessionTimeoutMs: 10_000,
    forgetReleasedMs: 60_000,
    keepMs: 120_000,
    maxLogBytes: 1_000_000_000,
    producerIdleMs: 100_000,
    remove: [],
    ...change,
  });

/** Fills a log, and says where it ends. */
async function fill(node: OpenBackplane, count: number, bytes = 10): Promise<number> {
  const producer = new Producer(node);
  let last = 0;
  for (let i = 0; i < count; i += 1) last = (await producer.append([frame('a', 'x'.repeat(bytes))])).last;
  return last;
}

const positions = async (node: OpenBackplane): Promise<number[]> =>
  (await node.backplane.read(0)).parts.map(({ last }) => last);

/** Registers the node first, if it is not known. */
async function beat({ backplane, node }: OpenBackplane, cursor: number, name = node) {
  const answer = await backplane.beat({ node: name, cursor, check: cursor });
  if (!answer.unknown) return answer;
  await backplane.beat({ node: name, cursor: undefined, check: undefined });
  return { ...(await backplane.beat({ node: name, cursor, check: cursor })), unknown: true };
}

describe('trimming by age', () => {
  it('trim/young: keeps what is younger than it has to be kept', async () => {
    const node = await open();
    await beat(node, await fill(node, 5));
    await maintain(node);
    expect(await positions(node)).toEqual([1, 2, 3, 4, 5]);
    expect((await node.backplane.read(0)).trimmed).toBe(0);
  });

  it('trim/cursor: keeps the part at the lowest cursor, and says how far it went', async () => {
    const node = await open();
    await fill(node, 6);
    await beat(node, 6);
    await beat(node, 3, 'slow');
    expect(await maintain(node, { keepMs: 0 })).toMatchObject({ overtaken: 0 });
    expect(await positions(node)).toEqual([3, 4, 5, 6]);
    expect(await beat(node, 6)).toMatchObject({ trimmed: 2, head: 6 });
    expect((await node.backplane.read(0)).trimmed).toBe(2);
    expect((await node.backplane.search('a', 0, 100)).trimmed).toBe(2);
    expect((await beat(node, 3, 'slow')).token).toMatch(/:3:1$/);
  });

  it('trim/as-of: a run that was sent before an outage drops nothing that grew old in it', async () => {
    const node = await open();
    await fill(node, 2);
    const { time } = await beat(node, 2);
    await fill(node, 2);
    await beat(node, 4);
    // It is carried out only now, as by a server that was frozen when it came.
    await sleep(20);
    await maintain(node, { keepMs: 0, asOf: time });
    expect((await positions(node)).slice(-2)).toEqual([3, 4]);
    expect((await node.backplane.read(0)).trimmed).toBeLessThanOrEqual(2);
    await maintain(node, { keepMs: 0 });
    expect(await positions(node)).toEqual([4]);
  });

  it('trim/last-part: the newest part stays, whatever its age', async () => {
    const node = await open();
    await beat(node, await fill(node, 3));
    await maintain(node, { keepMs: 0 });
    expect(await positions(node)).toEqual([3]);
    await node.backplane.leave(node.node);
    await maintain(node, { keepMs: 0 });
    expect(await positions(node)).toEqual([3]);
  });

  it('trim/clock-set-back: an entry that must stay keeps all later ones', async () => {
    const namespace = unique('ns');
    const node = await open(namespace);
    await beat(node, await fill(node, 5));
    await sql("update tmcp_sessions_log set at = now() + interval '1 hour' where ns = $1 and last = 2", [namespace]);
    await maintain(node, { keepMs: 0 });
    expect(await positions(node)).toEqual([2, 3, 4, 5]);
  });
});

describe('trimming by size', () => {
  it('trim/size: goes past cursors, counts whom it overtook once, and keeps the newest part', async () => {
    const node = await open();
    await fill(node, 10, 1_000);
    await beat(node, 10);
    await beat(node, 2, 'stopped');
    expect(await maintain(node, { maxLogBytes: 4_100 })).toMatchObject({ overtaken: 1 });
    expect(await positions(node)).toEqual([7, 8, 9, 10]);
    expect(await maintain(node, { maxLogBytes: 4_100 })).toMatchObject({ overtaken: 0 });
    expect(await maintain(node, { maxLogBytes: 1 })).toMatchObject({ overtaken: 0 });
    expect(await positions(node)).toEqual([10]);
  });

  it('trim/many: removes more than one step in one run', async () => {
    const namespace = unique('ns');
    const node = await open(namespace);
    await fill(node, 1);
    await sql(
      `insert into tmcp_sessions_log (ns, last, n, tok, bytes, at, head, data)
         select $1, i, 1, 't', i, now() - interval '1 hour', '[]', '' from generate_series(2, 12000) i`,
      [namespace],
    );
    await sql('update tmcp_sessions_head set pos = 12000, bytes = 12000 where ns = $1', [namespace]);
    await beat(node, 12_000);
    await sql("update tmcp_sessions_log set at = now() - interval '1 hour' where ns = $1", [namespace]);
    await maintain(node);
    expect(await sql('select count(*)::int as left from tmcp_sessions_log where ns = $1', [namespace])).toEqual([
      { left: 1 },
    ]);
  });

  it('trim/one-at-a-time: while one node cleans, another only looks who is silent', async () => {
    const namespace = unique('ns');
    const node = await open(namespace);
    await beat(node, await fill(node, 3));
    const connection = new PostgresConnection({ connectionString: postgres.url });
    const release = connection.retain();
    const names = await connection.prepare();
    await connection.calls.transaction(async (run) => {
      await run(`select pg_advisory_xact_lock('${names.log}'::regclass::oid::int4, hashtext($1))`, [namespace]);
      const { silent } = await maintain(node, { keepMs: 0, sessionTimeoutMs: 1 });
      expect(silent.map((entry) => entry.node)).toEqual([node.node]);
      expect(await positions(node)).toEqual([1, 2, 3]);
    });
    await release();
    await maintain(node, { keepMs: 0 });
    expect(await positions(node)).toEqual([3]);
  });
});

describe('cleaning up', () => {
  it('clean/large-size: large payloads have the same bound as the log, oldest first, and the newest stays', async () => {
    const namespace = unique('ns');
    const node = await open(namespace);
    const age = (id: string, minutes: number): Promise<unknown> =>
      sql("update tmcp_sessions_large set at = at - $3 * interval '1 minute' where ns = $1 and id = $2", [
        namespace,
        id,
        minutes,
      ]);
    for (const [i, id] of ['a', 'b', 'c', 'd'].entries()) {
      await node.backplane.putLarge(id, 'x'.repeat(100_000));
      await age(id, id === 'd' ? 0 : 9 - i);
    }
    const left = async (): Promise<unknown[]> =>
      (await sql('select id from tmcp_sessions_large where ns = $1 order by id', [namespace])).map(({ id }) => id);
    const keepMs = 3_600_000;
    await maintain(node, { keepMs, maxLogBytes: 400_000 });
    expect(await left()).toEqual(['a', 'b', 'c', 'd']);
    await maintain(node, { keepMs, maxLogBytes: 250_000 });
    expect(await left()).toEqual(['c', 'd']);
    // What was stored a moment ago may belong to an entry that is still on its way.
    await maintain(node, { keepMs, maxLogBytes: 1 });
    expect(await left()).toEqual(['d']);
  });

  it('clean/silent: reports nodes without a fresh beat, and removes them with what was theirs unless they beat again', async () => {
    const namespace = unique('ns');
    const node = await open(namespace);
    const producers = [new Producer(node), new Producer(node)];
    for (const [i, name] of ['gone', 'back'].entries()) {
      await beat(node, 0, name);
      const batch = await producers[i]?.batch(
        [frame('a', 'x')],
        [{ kind: 'claim', offset: 1, session: name, claim: name }],
      );
      if (batch) await node.backplane.append({ ...batch, node: name });
    }
    expect((await maintain(node)).silent).toEqual([]);
    const silent = (await maintain(node, { sessionTimeoutMs: 0 })).silent.filter((entry) => entry.node !== node.node);
    expect(silent.map((entry) => entry.node).sort()).toEqual(['back', 'gone']);
    await beat(node, 0, 'back');
    await maintain(node, { remove: silent });
    expect((await node.backplane.inspect('gone')).cursor).toBeUndefined();
    expect((await node.backplane.inspect('back')).cursor).toBe(0);
    expect(await node.backplane.locate('gone')).toBeUndefined();
    expect(await node.backplane.locate('back')).toBe('attached');
    expect(await sql('select node from tmcp_sessions_producer where ns = $1', [namespace])).toEqual([{ node: 'back' }]);
    expect(await beat(node, 0, 'gone')).toMatchObject({ unknown: true });
  });

  it('clean/claims: released claims go after the resume window, held ones stay', async () => {
    const node = await open();
    const producer = new Producer(node);
    for (const session of ['held', 'released']) await producer.control({ kind: 'claim', session, claim: session });
    await producer.control({ kind: 'release', session: 'released', claim: 'released', detach: 2, sent: 2 });
    await maintain(node);
    const claim = async (session: string) =>
      (await producer.control({ kind: 'claim', session, claim: unique('c') })).claims[0]?.previous?.claim;
    expect(await claim('released')).toBe('released');
    await producer.control({ kind: 'end', session: 'released' });
    await producer.control({ kind: 'claim', session: 'released', claim: 'again' });
    await producer.control({ kind: 'release', session: 'released', claim: 'again', detach: 2, sent: 2 });
    await maintain(node, { forgetReleasedMs: 0 });
    expect(await claim('released')).toBeUndefined();
    expect(await claim('held')).toBe('held');
  });

  it('clean/producers: idle producers go once their node is not known any more', async () => {
    const namespace = unique('ns');
    const node = await open(namespace);
    const producer = new Producer(node);
    await producer.append([frame('a', 'x')]);
    const known = () => sql('select id from tmcp_sessions_producer where ns = $1', [namespace]);
    await maintain(node, { producerIdleMs: 0 });
    expect(await known()).toEqual([{ id: producer.id }]);
    await node.backplane.leave(node.node);
    await maintain(node);
    expect(await known()).toEqual([{ id: producer.id }]);
    await maintain(node, { producerIdleMs: 0 });
    expect(await known()).toEqual([]);
  });

  it('clean/large: large payloads stay as long as the log may name them', async () => {
    const namespace = unique('ns');
    const node = await open(namespace);
    await node.backplane.putLarge('named', 'x');
    await beat(node, await fill(node, 2));
    const age = (table: string, minutes: number) =>
      sql(`update tmcp_sessions_${table} set at = now() - $2 * interval '1 minute' where ns = $1`, [
        namespace,
        minutes,
      ]);
    await age('large', 5);
    await age('log', 5);
    await beat(node, 1, 'slow');
    await maintain(node);
    expect(await node.backplane.getLarge('named')).toBe('x');
    await beat(node, 2, 'slow');
    await maintain(node);
    await fill(node, 1);
    await beat(node, 3);
    await beat(node, 3, 'slow');
    await maintain(node);
    await maintain(node);
    expect(await node.backplane.getLarge('named')).toBeUndefined();
  });
});
