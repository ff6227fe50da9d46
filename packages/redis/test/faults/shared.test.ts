import type { RedisServer } from 'test-support';
import {
  halfOpenSuite,
  leavingSuite,
  lostConnectionsSuite,
  ownerFrozenSuite,
  ownerKilledSuite,
  retentionSuite,
  swallowedAnswersSuite,
  takeoverStormSuite,
} from 'test-support/fault-suites';
import { afterAll, beforeAll } from 'vitest';
import { redisSessions } from '../../src/index.ts';
import { Rig, startRigServer } from './support/rig.ts';

/** What every backend survives. */

let server: RedisServer;
beforeAll(async () => {
  server = await startRigServer();
});
afterAll(() => server.stop());

const makeRig = (): Rig => Rig.on(server);

ownerFrozenSuite(makeRig);
ownerKilledSuite(makeRig);
halfOpenSuite(makeRig);
lostConnectionsSuite(makeRig);
swallowedAnswersSuite(makeRig);
retentionSuite(makeRig);
leavingSuite({
  makeRig,
  program: new URL('./programs/leaving.ts', import.meta.url),
  makeSessions: (url, options) => redisSessions({ url, ...options }),
});
takeoverStormSuite(makeRig);
