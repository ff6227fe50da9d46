import { soakSuite } from 'test-support/fault-suites';
import { BACKEND } from './support/rig.ts';

const POOL = 10;

soakSuite({
  ...BACKEND,
  troubles: {
    'backends terminated': (server, random) =>
      server.terminate(`application_name like 'tmcp%' and pid % 3 = ${random.below(3)}`),
    'server restarted': (server) => server.restart(),
    'server crashed': (server) => server.crashRestart(),
  },
  connections: async (rig) =>
    (await rig.query("select from pg_stat_activity where application_name like 'tmcp%'")).length,
  mostConnections: POOL + 1,
});
