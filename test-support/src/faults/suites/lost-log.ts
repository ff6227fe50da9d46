import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { waitFor } from '../../wait-for.ts';
import type { FaultRig } from '../fault-rig.ts';
import { startsAnew, startTwo } from './starts-anew.ts';

const HEARTBEAT_MS = 200;
const FILTERS: { toolsListChanged: boolean; resourceSubscriptions: string[] } = {
  toolsListChanged: true,
  resourceSubscriptions: ['file:///a'],
};

/** What the suite uses of a subscription manager. */
interface ListenManager extends AsyncDisposable {
  create(
    subscription: { id: number; origin: string; filters: typeof FILTERS },
    callbacks: {
      acknowledge(): Promise<void>;
      send(notification: { method: string }): Promise<void>;
      close(): Promise<void>;
    },
  ): Promise<boolean>;
  publish(notification: { jsonrpc: '2.0'; method: 'notifications/tools/list_changed' }): Promise<void>;
  stats(): { readonly discontinuities: number };
}

export type LostLogBackend<R extends FaultRig> = {
  makeRig(): R | Promise<R>;
  /** Ways to lose the log, or what it cannot do without. The first one takes everything. */
  readonly wipes: Readonly<Record<string, (rig: R) => Promise<unknown>>>;
  /** Codes that such a loss may cause on this backend beside those that are always harmless. */
  readonly alsoHarmless?: readonly string[];
  makeSubscriptions(rig: R, options: { heartbeatMs: number; onError: () => void }): ListenManager;
};

/** A log that is gone while processes use it. */
export function lostLogSuite<R extends FaultRig>({
  makeRig,
  wipes,
  alsoHarmless = [],
  makeSubscriptions,
}: LostLogBackend<R>): void {
  describe.concurrent('a log that is wiped under load', () => {
    for (const [name, wipe] of Object.entries(wipes)) {
      it(`faults/wiped-${name}: is reported, ends each stream once, and the next one is live`, async () => {
        const system = await startTwo(await makeRig());
        await using rig = system.rig;
        await using load = rig.load();
        await sleep(200);
        const since = performance.now();
        await wipe(rig);
        await waitFor(() => rig.clients.every(({ line }) => line.state !== 'open'));
        await load.stop();
        await startsAnew(system, since);
        expect(Object.keys(rig.ledger.refusals).filter((code) => code !== 'discontinuity')).toEqual([]);
        expect(rig.reportsBeside(...rig.harmless, ...alsoHarmless, 'discontinuity', 'not-resumed')).toEqual([]);
      });
    }

    it('faults/wiped-listeners: listen streams are told to look again at what they filter for, once, and go on', async () => {
      await using rig = await makeRig();
      const options = { heartbeatMs: HEARTBEAT_MS, onError: () => undefined };
      await using manager = makeSubscriptions(rig, options);
      await using sender = makeSubscriptions(rig, options);
      const told: string[] = [];
      const callbacks = {
        acknowledge: async () => undefined,
        send: async ({ method }: { method: string }) => void told.push(method),
        close: async () => undefined,
      };
      const subscription = { id: 1, origin: 'here', filters: FILTERS };
      expect(await manager.create(subscription, callbacks)).toBe(true);
      const changed = { jsonrpc: '2.0', method: 'notifications/tools/list_changed' } as const;
      await sender.publish(changed);
      await waitFor(() => told.length === 1);
      await Object.values(wipes)[0]?.(rig);
      // One hint for each thing it filters for, whichever process notices first.
      await waitFor(() => told.length === 3);
      await waitFor(() => sender.stats().discontinuities === 1);
      await sleep(HEARTBEAT_MS * 5);
      expect(told).toEqual([changed.method, changed.method, 'notifications/resources/updated']);
      await sender.publish(changed);
      await waitFor(() => told.length === 4);
    });
  });
}
