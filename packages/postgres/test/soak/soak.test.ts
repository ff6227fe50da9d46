import { setTimeout as sleep } from 'node:timers/promises';
import { type PostgresServer, startPostgres, waitFor } from 'test-support';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { figure } from '../faults/support/figures.ts';
import { CLEAN } from '../faults/support/oracle.ts';
import { seeded } from '../faults/support/random.ts';
import { OUTAGE_CODES, Rig } from '../faults/support/rig.ts';
import { Storm } from '../faults/support/storm.ts';
import { Slot } from './slot.ts';
import { NETWORK, PROCESSES } from './trouble.ts';
import { visit } from './visitor.ts';

/** A minute in CI, a few seconds by hand; `SOAK_SECONDS` and `SOAK_SEED` choose. */
const SECONDS = Number(process.env.SOAK_SECONDS ?? (process.env.CI ? 60 : 8));
const SEED = Number(process.env.SOAK_SEED ?? Math.floor(Math.random() * 1e9));

const SESSIONS = 300;
const OPTIONS = { sessionTimeoutMs: 2_000, heartbeatMs: 500 };
const POOL = 10;

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server.stop());

it(`soak/random-faults: 3 processes, ${SESSIONS} sessions, ${SECONDS} s (seed ${SEED})`, {
  timeout: SECONDS * 1_000 + 120_000,
}, async () => {
  console.log(`soak: SOAK_SECONDS=${SECONDS} SOAK_SEED=${SEED}`);
  await using rig = await Rig.on(server);
  const slots = await Promise.all(
    [1, 2, 3].map(async () => {
      const { proxy, url } = await rig.proxy();
      return rig.keep(await Slot.start(proxy, { ...OPTIONS, connectionString: url }));
    }),
  );
  const clients = await rig.connected(SESSIONS);
  const load = rig.load({ senders: 2, pauseMs: 15, seed: SEED });
  const happened: Record<string, number> = {};
  await using storm = new Storm();
  for (const [i, troubles] of [NETWORK, PROCESSES].entries()) {
    storm.repeat(SEED + i, 500, async (random) => {
      const name = random.pick(Object.keys(troubles));
      happened[name] = (happened[name] ?? 0) + 1;
      // The other loop may have stopped the server that this one asks for something.
      await troubles[name]?.(random.pick(slots), random, server).catch(() => undefined);
    });
  }
  let isOver = false;
  const visits = clients.map((client, i) =>
    visit(client, {
      nodes: slots,
      random: seeded(SEED + 10 + i),
      moveMs: 8_000,
      isOver: () => isOver,
      another: () => rig.client(),
      now: () => rig.ledger.now(),
    }),
  );
  await sleep(SECONDS * 1_000);
  await storm.stop();
  await load.stop();
  isOver = true;
  const staying = await Promise.all(visits);

  const verdict = await rig.settled();
  console.log(
    `soak: ${rig.ledger.accepted} accepted, ${rig.clients.length} sessions, refused ${JSON.stringify(rig.ledger.refusals)}; ${JSON.stringify(happened)}`,
  );
  expect(verdict).toMatchObject({ ...CLEAN, repeated: [] });
  expect(Object.keys(rig.ledger.refusals).filter((code) => !['timeout', 'dead'].includes(code))).toEqual([]);
  // A notification that was late by more than 2 s when a process started is taken for a pooler, which does no harm.
  expect(rig.reportsBeside(...OUTAGE_CODES, 'slow-reader', 'configuration')).toEqual([]);
  for (const { line } of staying) expect(line.state).toBe('open');

  // Nothing has piled up: not in the processes, not on the server.
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
  await waitFor(async () => {
    const open = await rig.query("select from pg_stat_activity where application_name like 'tmcp%'");
    return open.length <= slots.length * (POOL + 1);
  });
});
