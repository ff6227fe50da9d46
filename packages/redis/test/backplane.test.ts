import { LOST } from '@tmcp/session-manager';
import { type KitRedis, kitRedis } from 'test-support';
import { claimsSuite, readingSuite } from 'test-support/backplane-suites';
import { afterAll, beforeAll } from 'vitest';
import { closeAfterEach, type OpenBackplane, openBackplane, unique } from './harness.ts';

let redis: KitRedis;
let keyPrefix: string;
beforeAll(async () => {
  redis = await kitRedis();
  keyPrefix = redis.createPrefix();
});
afterAll(() => redis.stop());
closeAfterEach();

const open = (settings = {}): Promise<OpenBackplane> =>
  openBackplane({ url: redis.url, keyPrefix }, { namespace: unique('ns'), ...settings });

/** What every backplane does. */
claimsSuite(open, LOST);
readingSuite(open);
