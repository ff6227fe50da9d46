import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { waitFor } from '../../wait-for.ts';
import type { Client } from '../client.ts';
import type { FaultBackend, FaultRig, FaultServer } from '../fault-rig.ts';
import { figure } from '../figures.ts';
import type { Load } from '../load.ts';
import { CLEAN, judge, settle } from '../oracle.ts';
import { type Random, seeded } from '../random.ts';
import type { Slot } from '../slot.ts';
import { Storm } from '../storm.ts';
import { visit } from '../visitor.ts';
import { NETWORK, PROCESSES, type ServerTrouble, serverFrozen } from './trouble.ts';

/** `SOAK_SECONDS` and `SOAK_SEED` choose. */
const SECONDS = Number(process.env.SOAK_SECONDS ?? 20);
const SEED = Number(process.env.SOAK_SEED ?? Math.floor(Math.random() * 1e9));

const SESSIONS = 300;
const OPTIONS = { sessionTimeoutMs: 2_000, heartbeatMs: 500 };

export type SoakBackend<Server extends FaultServer, R extends FaultRig> = FaultBackend<Server, R> & {
  /** What else happens to the server, and costs nobody anything. */
  readonly troubles: Readonly<Record<string, ServerTrouble<Server>>>;
  /** Ends the life of the log: it costs what was on its way, which is said. Without it the log lives on for ever. */
  lose?(server: Server): Promise<void>;
  connections(rig: R): Promise<number>;
  /** Most connections of one process. */
  readonly mostConnections: number;
};

/** A life of the log: its clients, and who sends to them. */
class Life {
  readonly view: FaultRig;
  readonly #slots: readonly Slot[];
  #visits: Promise<Client>[] = [];
  #load: Load | undefined;
  #isOver = false;

  constructor(view: FaultRig, slots: readonly Slot[]) {
    this.view = view;
    this.#slots = slots;
  }

  async begin(random: Random): Promise<void> {
    const { view } = this;
    const clients = await view.connected(SESSIONS, this.#slots);
    this.#load = view.load({ nodes: this.#slots, senders: 2, pauseMs: 15, seed: random.below(1e9) });
    this.#visits = clients.map((client) =>
      visit(client, {
        nodes: this.#slots,
        random: seeded(random.below(1e9)),
        moveMs: 8_000,
        isOver: () => this.#isOver,
        another: () => view.client(),
        now: () => view.ledger.now(),
      }),
    );
  }

  /** Nobody moves any more. @returns the clients that are there in the end, each with a stream */
  async rest(): Promise<Client[]> {
    this.#isOver = true;
    return Promise.all(this.#visits);
  }

  /** Nobody sends any more. */
  async fallSilent(): Promise<void> {
    await this.#load?.stop();
  }
}

/** Everything at once, by chance: processes, sessions, senders and visitors, and whatever can go wrong with them. */
export function soakSuite<Server extends FaultServer, R extends FaultRig>(backend: SoakBackend<Server, R>): void {
  it(`soak/random-faults: 3 processes, ${SESSIONS} sessions, ${SECONDS} s (seed ${SEED})`, {
    timeout: SECONDS * 2_000 + 180_000,
  }, async () => {
    console.log(`soak: SOAK_SECONDS=${SECONDS} SOAK_SEED=${SEED}`);
    await using server = await backend.startServer();
    await using rig = await backend.rigOn(server);
    const slots = await Promise.all(
      [1, 2, 3].map(async () => {
        const { proxy, through } = await rig.proxy();
        return rig.slot(proxy, { ...OPTIONS, ...through });
      }),
    );
    const lives = backend.lose ? 2 : 1;
    const random = seeded(SEED);
    const happened: Record<string, number> = {};
    let view: FaultRig = rig;
    for (let number = 1; number <= lives; number += 1) {
      const life = new Life(view, slots);
      await life.begin(random);
      await trouble(backend, server, slots, random.below(1e9), (SECONDS / lives) * 1_000, happened);
      if (number < lives) await lose(backend, server, life, slots);
      else await lastsToTheEnd(life);
      console.log(
        `soak: ${view.ledger.accepted} accepted, ${view.clients.length} sessions, refused ${JSON.stringify(view.ledger.refusals)}`,
      );
      const allowed = ['timeout', 'dead', ...(lives > 1 ? ['discontinuity'] : [])];
      expect(Object.keys(view.ledger.refusals).filter((code) => !allowed.includes(code))).toEqual([]);
      view = view.again();
    }
    console.log(`soak: ${JSON.stringify(happened)}`);
    // A notification that was late by more than 2 s when a process started is taken for a pooler, which does no harm.
    const allowed = [...rig.harmless, 'slow-reader', 'configuration'];
    if (lives > 1) allowed.push('discontinuity', 'not-resumed');
    expect(rig.reportsBeside(...allowed)).toEqual([]);
    await nothingPiledUp(slots);
    await waitFor(async () => (await backend.connections(rig)) <= slots.length * backend.mostConnections);
  });
}

/** Things go wrong for a while, two at a time: one with the network, one with processes or the server. */
async function trouble<Server extends FaultServer, R extends FaultRig>(
  { troubles }: SoakBackend<Server, R>,
  server: Server,
  slots: readonly Slot[],
  seed: number,
  forMs: number,
  happened: Record<string, number>,
): Promise<void> {
  await using storm = new Storm();
  const note = (name: string): void => {
    happened[name] = (happened[name] ?? 0) + 1;
  };
  storm.repeat(seed, 500, async (random) => {
    const name = random.pick(Object.keys(NETWORK));
    note(name);
    await NETWORK[name]?.(random.pick(slots), random);
  });
  const ofServer: Readonly<Record<string, ServerTrouble<Server>>> = { 'server frozen': serverFrozen, ...troubles };
  storm.repeat(seed + 1, 500, async (random) => {
    const name = random.pick([...Object.keys(PROCESSES), ...Object.keys(ofServer)]);
    note(name);
    await PROCESSES[name]?.(random.pick(slots), random);
    await ofServer[name]?.(server, random);
  });
  await sleep(forMs);
  await storm.stop();
}

/** What was accepted is there, then the log is lost under load: whoever is there is told so, and goes on. */
async function lose<Server extends FaultServer, R extends FaultRig>(
  backend: SoakBackend<Server, R>,
  server: Server,
  life: Life,
  slots: readonly Slot[],
): Promise<void> {
  const { ledger, clients } = life.view;
  const staying = await life.rest();
  const until = ledger.now();
  expect(await settle(ledger, clients, { timeoutMs: 60_000 })).toMatchObject({ ...CLEAN, repeated: [] });
  await backend.lose?.(server);
  await Promise.all(
    staying.map(async (client, i) => {
      await waitFor(() => client.line.state !== 'open', { timeoutMs: 60_000, message: 'a stream to end' });
      const slot = slots[i % slots.length] as Slot;
      await waitFor(() => client.connect(slot, { resume: true }).then(() => true), { timeoutMs: 60_000 });
      await waitFor(() => client.hints > 0, {
        timeoutMs: 60_000,
        message: 'a client to be told that it may have missed something',
      });
    }),
  );
  await life.fallSilent();
  expect(judge(ledger, clients, until)).toMatchObject({ ...CLEAN, repeated: [] });
  // The next life begins with sessions of the same names, which are others.
  await Promise.all(staying.map(({ session }, i) => (slots[i % slots.length] as Slot).delete(session)));
}

async function lastsToTheEnd(life: Life): Promise<void> {
  await life.fallSilent();
  const staying = await life.rest();
  const verdict = await settle(life.view.ledger, life.view.clients, { timeoutMs: 60_000 });
  expect(verdict).toMatchObject({ ...CLEAN, repeated: [] });
  for (const { line } of staying) expect(line.state).toBe('open');
}

async function nothingPiledUp(slots: readonly Slot[]): Promise<void> {
  for (const slot of slots) {
    // A release or two may still be on their way.
    await waitFor(async () => {
      const { backlogBytes, lag } = await slot.stats();
      return backlogBytes === 0 && lag === 0;
    });
    const { heapBytes } = await slot.stats();
    figure('soak: heap of a process afterwards', heapBytes / 2 ** 20, 'MiB');
    expect(heapBytes).toBeLessThan(80 * 2 ** 20);
  }
}
