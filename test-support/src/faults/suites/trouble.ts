import { setTimeout as sleep } from 'node:timers/promises';
import type { FaultServer } from '../fault-rig.ts';
import type { Random } from '../random.ts';
import type { Slot } from '../slot.ts';
import { swallowAppend } from '../storm.ts';

/** One thing that goes wrong with a process or its network, from its beginning to its end. */
export type Trouble = (slot: Slot, random: Random) => Promise<unknown>;

/** The same with the server. */
export type ServerTrouble<Server> = (server: Server, random: Random) => Promise<unknown>;

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

/** What happens to processes. */
export const PROCESSES: Readonly<Record<string, Trouble>> = {
  frozen: async ({ process }, random) => {
    process.freeze();
    await sleep(200 + random.below(3_300));
    process.thaw();
  },
  killed: async (slot) => slot.replace(),
};

export const serverFrozen: ServerTrouble<FaultServer> = async (server, random) => {
  server.freeze();
  await sleep(200 + random.below(2_000));
  server.thaw();
};
