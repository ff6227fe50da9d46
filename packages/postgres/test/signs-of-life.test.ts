import { type PostgresServer, queryOnce, startPostgres } from 'test-support';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { closeAfterEach, openBackplane, Producer } from './harness.ts';

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server.stop());
closeAfterEach();

it('locate/heard-lately: a beat stands for the connection that is not there', async () => {
  const url = await server.createDatabase();
  const owner = await openBackplane({ connectionString: url });
  const other = await openBackplane({ connectionString: url });
  await new Producer(owner).control({ kind: 'claim', session: 'a', claim: 'c1' });
  expect(await other.backplane.locate('a')).toBe('attached');

  // As if its connection had been lost: nobody holds the lock that its row names.
  const beaten = (ago: string): Promise<unknown> =>
    queryOnce(url, `update tmcp_sessions_node set lock_key = 1, beat = clock_timestamp() - $1::interval`, [ago]);
  await beaten('200 ms');
  expect(await other.backplane.locate('a')).toBe('suspect');
  expect(await other.backplane.locate('a', 2_000)).toBe('attached');
  expect((await other.backplane.inspect(owner.node)).liveness).toBe('suspect');
  expect((await other.backplane.inspect(owner.node, 2_000)).liveness).toBe('attached');
  await beaten('2500 ms');
  expect(await other.backplane.locate('a', 2_000)).toBe('suspect');
  await beaten('1 minute');
  expect(await other.backplane.locate('a', 2_000)).toBe('dead');
});
