import { setTimeout as sleep } from 'node:timers/promises';
import type { PostgresServer } from 'test-support';
import type { Random } from '../faults/support/random.ts';
import { swallowAppend } from '../faults/support/storm.ts';
import type { Slot } from './slot.ts';

/** One thing that goes wrong, from its beginning to its end. */
type Trouble = (slot: Slot, random: Random, server: PostgresServer) => Promise<unknown>;

/** What happens to the network of one process. */
export const NETWORK: Readonly<Record<string, Trouble>> = {
  'listener cut': async ({ proxy }) => proxy.cut(({ labels }) => labels.has('listener')),
  'all cut': async ({ proxy }) => proxy.cutAll(),
  'answer swallowed': async ({ proxy }) => Promise.race([swallowAppend(proxy), sleep(500)]),
  'black hole': async ({ proxy }, random) => {
    proxy.blackhole(random.pick(['up', 'down', 'both']));
    await sleep(200 + random.below(3_300));
    proxy.blackhole(false);
  },
  delay: async ({ proxy }, random) => {
    proxy.delay(5 + random.below(60));
    await sleep(1_000);
    proxy.delay(0);
  },
  refused: async ({ proxy }, random) => {
    await proxy.refuse(true);
    proxy.cutAll();
    await sleep(random.below(2_000));
    await proxy.refuse(false);
  },
};

/** What happens to processes and to the server. */
export const PROCESSES: Readonly<Record<string, Trouble>> = {
  frozen: async ({ process }, random) => {
    process.freeze();
    await sleep(200 + random.below(3_300));
    process.thaw();
  },
  killed: async (slot) => slot.replace(),
  'backends terminated': async (_, random, server) =>
    server.terminate(`application_name like 'tmcp%' and pid % 3 = ${random.below(3)}`),
  'server restarted': async (_, __, server) => server.restart(),
  'server crashed': async (_, __, server) => server.crashRestart(),
  'server frozen': async (_, random, server) => {
    server.freeze();
    await sleep(200 + random.below(2_000));
    server.thaw();
  },
};
