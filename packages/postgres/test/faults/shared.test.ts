import { type PostgresServer, startPostgres } from 'test-support';
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
import { postgresSessions } from '../../src/index.ts';
import { Rig } from './support/rig.ts';

/** What every backend survives. */

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server.stop());

const makeRig = (): Promise<Rig> => Rig.on(server);

ownerFrozenSuite(makeRig);
ownerKilledSuite(makeRig);
halfOpenSuite(makeRig);
lostConnectionsSuite(makeRig);
swallowedAnswersSuite(makeRig);
retentionSuite(makeRig);
leavingSuite({
  makeRig,
  program: new URL('./programs/leaving.ts', import.meta.url),
  makeSessions: (connectionString, options) => postgresSessions({ connectionString, ...options }),
});
takeoverStormSuite(makeRig);
