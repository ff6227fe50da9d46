import { type KitPostgres, kitPostgres } from 'test-support';
import { readingSuite } from 'test-support/backplane-suites';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { closeAfterEach, frame, type OpenBackplane, openBackplane, Producer, unique } from './harness.ts';

let postgres: KitPostgres;
beforeAll(async () => {
  postgres = await kitPostgres();
});
afterAll(() => postgres.stop());
closeAfterEach();

const open = (settings = {}): Promise<OpenBackplane> =>
  openBackplane({ connectionString: postgres.url }, { namespace: unique('ns'), ...settings });

readingSuite(open);

describe('searching PostgreSQL', () => {
  it('search/page: a page has at most 64 parts, and the next one begins where it ended', async () => {
    const node = await open();
    const producer = new Producer(node);
    for (let i = 0; i < 100; i += 1) await producer.append([frame('a', 'x')]);
    const page = await node.backplane.search('a', 0, 1_000);
    expect([page.parts.length, page.complete]).toEqual([64, false]);
    const rest = await node.backplane.search('a', page.parts.at(-1)?.last ?? 0, 1_000);
    expect([rest.parts.length, rest.complete]).toEqual([36, true]);
  });
});
