import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { type RedisSentinel, startRedisSentinel, waitFor } from 'test-support';
import { startsAnew } from 'test-support/fault-suites';
import { figure } from 'test-support/faults';
import { describe, expect, it } from 'vitest';
import { ClientRig } from './support/client-rig.ts';
import { HARMLESS } from './support/rig.ts';

function rigOn(group: RedisSentinel): ClientRig {
  return new ClientRig(() => {
    const client = new Redis({ sentinels: group.sentinels, name: group.name });
    client.on('error', () => undefined);
    return client;
  });
}

const failovers: Record<string, (group: RedisSentinel) => Promise<unknown>> = {
  planned: (group) => group.failover(),
  killed: (group) => group.killMaster(),
};

describe.concurrent('a fail-over by Sentinel under load', () => {
  for (const [name, failOver] of Object.entries(failovers)) {
    it(`faults/sentinel-${name}: what replication may have lost is said once, streams end once, and clients go on`, async () => {
      await using group = await startRedisSentinel();
      await using rig = rigOn(group);
      const nodes = [rig.node({ heartbeatMs: 200 }), rig.node({ heartbeatMs: 200 })] as const;
      const clients = await rig.connected(8);
      await using load = rig.load();
      await sleep(300);
      const since = performance.now();
      await failOver(group);
      figure(`sentinel, ${name}: another master after`, performance.now() - since);
      await waitFor(() => clients.every(({ line }) => line.state !== 'open'), { timeoutMs: 20_000 });
      await load.stop();
      await startsAnew({ rig, nodes }, since);
      expect(Object.keys(rig.ledger.refusals).filter((code) => !['discontinuity', 'timeout'].includes(code))).toEqual(
        [],
      );
      expect(rig.reportsBeside(...HARMLESS, 'discontinuity', 'not-resumed')).toEqual([]);
    });
  }
});
