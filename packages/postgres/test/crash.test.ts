import { type PostgresServer, queryOnce, startPostgres, waitFor } from 'test-support';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { closeAfterEach, frame, type OpenBackplane, openBackplane, Producer, unique } from './harness.ts';

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server.stop());
closeAfterEach();

const open = (settings = {}): Promise<OpenBackplane> =>
  openBackplane({ connectionString: server.url, callTimeoutMs: 2_000 }, { namespace: unique('ns'), ...settings });

const epochOf = async ({ backplane, node }: OpenBackplane): Promise<string> =>
  (await backplane.beat({ node, cursor: 0, check: 0 })).epoch;

/** Claims a session and writes something. */
async function use(node: OpenBackplane): Promise<Producer> {
  const producer = new Producer(node);
  await producer.control({ kind: 'claim', session: 'a', claim: 'c1' });
  return producer;
}

const reconnected = ({ heard }: OpenBackplane, times = 1): Promise<unknown> =>
  waitFor(() => heard.events.filter((event) => event === 'connected').length > times, { timeoutMs: 20_000 });

describe('a server that crashed', () => {
  it('crash/commit: loses nothing that was committed, so the log goes on', async () => {
    const node = await open();
    const producer = await use(node);
    const epoch = await epochOf(node);
    await server.crashRestart();
    await reconnected(node);
    expect(await epochOf(node)).toBe(epoch);
    expect(await producer.append([frame('a', 'x')])).toMatchObject({ last: 2, gap: false });
    expect(await node.backplane.locate('a')).toBe('attached');
  });

  it('crash/async: may have lost the end of an asynchronous log, so that starts anew before anybody is told', async () => {
    const [node, other] = await Promise.all([open({ durability: 'async' }), open()]);
    await use(node);
    await use(other);
    const [epoch, otherEpoch] = [await epochOf(node), await epochOf(other)];
    await server.crashRestart();
    await Promise.all([reconnected(node), reconnected(other)]);
    const renewed = await epochOf(node);
    expect(renewed).not.toBe(epoch);
    expect(await epochOf(other)).toBe(otherEpoch);
    expect(await node.backplane.locate('a')).toBeUndefined();
    expect(await other.backplane.locate('a')).toBe('attached');
    // Nothing asynchronous was written in the new epoch: another crash changes nothing.
    await server.crashRestart();
    await reconnected(node, 2);
    expect(await epochOf(node)).toBe(renewed);
  });

  it('crash/server-setting: commits that the server itself does not flush count as asynchronous', async () => {
    await server.query("alter role postgres set synchronous_commit = 'off'");
    try {
      const node = await open();
      await use(node);
      const epoch = await epochOf(node);
      await server.crashRestart();
      await reconnected(node);
      expect(await epochOf(node)).not.toBe(epoch);
      await node.backplane.close();
    } finally {
      await server.query('alter role postgres reset synchronous_commit');
    }
  });

  it('crash/restart: an orderly restart changes nothing', async () => {
    const node = await open({ durability: 'async' });
    await use(node);
    const epoch = await epochOf(node);
    await server.restart();
    await reconnected(node);
    expect(await epochOf(node)).toBe(epoch);
  });

  it('crash/append-first: an append that comes before any look at the server finds out as well', async () => {
    const [node, lossy] = await Promise.all([open(), open({ durability: 'async' })]);
    for (const { backplane } of [node, lossy]) expect(backplane.limits.keepsLog).toBe(true);
    const producers = [await use(node), await use(lossy)];
    await server.query('truncate tmcp_sessions_mark');
    expect(await producers[0]?.append([frame('a', 'x')])).toMatchObject({ last: 2 });
    await expect(producers[1]?.append([frame('a', 'x')])).rejects.toThrow('not stored: epoch');
    expect(await server.query('select count(*)::int as n from tmcp_sessions_mark')).toEqual([{ n: 2 }]);
    expect(await lossy.backplane.locate('a')).toBeUndefined();
  });
});

describe('another server', () => {
  /** What the next look at the server finds, had the log been written on another one. */
  const moved = async (change: string, node: OpenBackplane): Promise<void> => {
    await server.query('delete from tmcp_sessions_head where epoch <> $1', [await epochOf(node)]);
    await server.query(`update tmcp_sessions_head set server = 'elsewhere/00000001'${change}`);
    await server.terminate("query like '%listen%' or query like '%advisory%'");
    await reconnected(node);
  };

  it('fail-over/asynchronous: a server without a synchronous standby may have lost the end of the log', async () => {
    const node = await open();
    await use(node);
    const epoch = await epochOf(node);
    await moved('', node);
    expect(await epochOf(node)).not.toBe(epoch);
    expect(await node.backplane.locate('a')).toBeUndefined();
  });

  it('fail-over/synchronous: a synchronous standby has it all', async () => {
    const node = await open();
    await use(node);
    const epoch = await epochOf(node);
    await moved(', lossy_on_failover = false', node);
    expect(await epochOf(node)).toBe(epoch);
    const [head] = await server.query('select server from tmcp_sessions_head where epoch = $1', [epoch]);
    expect(head?.server).toMatch(/^\d+\/00000001$/);
  });
});

describe('a store that was wiped', () => {
  it('wiped/rows: the log starts anew, on a new channel that everybody listens to', async () => {
    const namespace = unique('ns');
    const [one, two] = await Promise.all([open({ namespace }), open({ namespace })]);
    const producer = await use(one);
    const epoch = await epochOf(one);
    for (const table of ['', '_head', '_log', '_node', '_producer', '_mark', '_large']) {
      await server.query(`delete from tmcp_sessions${table} where ns = $1`, [namespace]);
    }
    expect(await one.backplane.append(await producer.batch([frame('a', 'x')]))).toEqual({ state: 'epoch' });
    expect(await epochOf(one)).not.toBe(epoch);
    expect(await epochOf(two)).toBe(await epochOf(one));
    await Promise.all([reconnected(one), reconnected(two)]);
    expect(await new Producer(two).append([frame('a', 'y')])).toMatchObject({ last: 1, gap: false });
    await waitFor(() => one.heard.parts.at(-1)?.data === 'y' && two.heard.parts.at(-1)?.data === 'y');
  });

  it('wiped/head-only: what is left of the old log does not mix with the new one', async () => {
    const namespace = unique('ns');
    const node = await open({ namespace });
    await use(node);
    await server.query('delete from tmcp_sessions_head where ns = $1', [namespace]);
    await epochOf(node);
    expect((await node.backplane.read(0)).parts).toEqual([]);
    expect(await new Producer(node).append([frame('a', 'x')])).toMatchObject({ last: 1 });
  });

  it('wiped/tables: tables that were dropped are created again', async () => {
    const url = await server.createDatabase();
    const node = await openBackplane({ connectionString: url });
    await use(node);
    const epoch = await epochOf(node);
    await queryOnce(url, 'drop schema public cascade');
    await queryOnce(url, 'create schema public');
    await waitFor(async () => (await epochOf(node)) !== epoch);
    await reconnected(node);
    await new Producer(node).append([frame('a', 'again')]);
    await waitFor(() => node.heard.parts.at(-1)?.data === 'again');
  });
});
