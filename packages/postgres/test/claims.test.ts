import { LOST } from '@tmcp/session-manager';
import { type KitPostgres, kitPostgres } from 'test-support';
import { claimsSuite } from 'test-support/backplane-suites';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PostgresConnection } from '../src/postgres-connection.ts';
import { closeAfterEach, frame, type OpenBackplane, openBackplane, Producer, unique } from './harness.ts';

let postgres: KitPostgres;
beforeAll(async () => {
  postgres = await kitPostgres();
});
afterAll(() => postgres.stop());
closeAfterEach();

const open = (settings = {}): Promise<OpenBackplane> =>
  openBackplane({ connectionString: postgres.url }, { namespace: unique('ns'), ...settings });

claimsSuite(open, LOST);

describe('claims of PostgreSQL', () => {
  it("claims/unknown-node: where a stream had to start is unknown once its predecessor's node is forgotten", async () => {
    const namespace = unique('ns');
    const [one, two] = await Promise.all([open({ namespace }), open({ namespace })]);
    const [p1, p2] = [new Producer(one), new Producer(two)];
    await p1.append([frame('other', 'x')]);
    await one.backplane.leave(one.node);
    await p1.control({ kind: 'claim', session: 'a', claim: 'c1' });
    const { claims } = await p2.control({ kind: 'claim', session: 'a', claim: 'c2' });
    expect(claims[0]?.previous).toMatchObject({ claim: 'c1', cursor: undefined, from: 2 });
    const again = await p1.control({ kind: 'claim', session: 'a', claim: 'c3' });
    expect(again.claims[0]?.previous).toMatchObject({ claim: 'c2', from: undefined });
  });

  it('beat/not-behind-appends: a beat does not wait for an append that holds the head', async () => {
    const node = await open();
    const connection = new PostgresConnection({ connectionString: postgres.url });
    const release = connection.retain();
    const names = await connection.prepare();
    await connection.calls.transaction(async (run) => {
      await run(`select from ${names.head} for update`);
      // Else it would wait until its own deadline.
      await node.backplane.beat({ node: node.node, cursor: 0, check: 0 });
    });
    await release();
  });
});
