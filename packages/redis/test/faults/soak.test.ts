import { setTimeout as sleep } from 'node:timers/promises';
import { soakSuite } from 'test-support/fault-suites';
import { BACKEND } from './support/rig.ts';

soakSuite({
  ...BACKEND,
  troubles: {
    'connections killed': (server) => server.command('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes'),
    'readers killed': (server) => server.command('CLIENT', 'KILL', 'TYPE', 'pubsub'),
    'scripts flushed': (server) => server.command('SCRIPT', 'FLUSH'),
    paused: async (server, random) => {
      const ms = 200 + random.below(2_000);
      await server.command('CLIENT', 'PAUSE', ms, 'WRITE');
      await sleep(ms);
    },
  },
  // It keeps nothing on disk, as most do.
  lose: async (server) => {
    await server.kill();
    await server.start();
  },
  connections: async (rig) => (await rig.connections()).length,
  // One for calls, one that reads the log.
  mostConnections: 2,
});
