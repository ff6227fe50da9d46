import { type KitPostgres, kitPostgres, queryOnce, waitFor } from 'test-support';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { closeAfterEach, frame, type OpenBackplane, openBackplane, Producer, unique } from './harness.ts';

let postgres: KitPostgres;
beforeAll(async () => {
  postgres = await kitPostgres();
});
afterAll(() => postgres.stop());
closeAfterEach();

const open = (durability: 'commit' | 'async' | 'none', namespace = unique('ns')): Promise<OpenBackplane> =>
  openBackplane({ connectionString: postgres.url }, { namespace, durability });

const flags = async (namespace: string): Promise<unknown> => {
  const [row] = await queryOnce(
    postgres.url,
    'select lossy_on_crash as crash, lossy_on_failover as failover from tmcp_sessions_head where ns = $1',
    [namespace],
  );
  return row;
};

describe('durability', () => {
  it('durability/remembered: the head remembers what an epoch may lose', async () => {
    const namespace = unique('ns');
    const commit = await open('commit', namespace);
    expect(await flags(namespace)).toEqual({ crash: false, failover: false });
    await new Producer(commit).append([frame('a', 'x')]);
    expect(await flags(namespace)).toEqual({ crash: false, failover: true });
    const async = await open('async', namespace);
    await new Producer(async).append([frame('a', 'x')]);
    await new Producer(commit).append([frame('a', 'x')]);
    expect(await flags(namespace)).toEqual({ crash: true, failover: true });
  });

  it('durability/none: nothing is stored but what does not fit into a notification', async () => {
    const node = await open('none');
    expect(node.backplane.limits.keepsLog).toBe(false);
    const producer = new Producer(node);
    await producer.append([frame('a', 'small'), frame('a', 'x'.repeat(10_000)), frame('a', 'last')]);
    await waitFor(() => node.heard.parts.length === 2 && node.heard.wakes.length === 1);
    expect(node.heard.parts.map(({ last }) => last)).toEqual([1, 3]);
    expect(node.heard.wakes).toEqual([2]);
    expect((await node.backplane.read(0)).parts.map(({ last }) => last)).toEqual([2]);
    expect(await node.backplane.beat({ node: node.node, cursor: 3, check: 3 })).toMatchObject({
      head: 3,
      token: undefined,
    });
    expect((await producer.control({ kind: 'claim', session: 'a', claim: 'c1' })).claims).toMatchObject([{ at: 4 }]);
    expect(await node.backplane.locate('a')).toBe('attached');
  });
});
