import {
  BackplaneStreamSessionManager,
  DeliveryNode,
  deliveryRules,
  InProcessBackplane,
  type MaintenanceAnswer,
  type MaintenanceRequest,
  readOptions,
  type SessionError,
} from '@tmcp/session-manager';
import { deferred } from 'test-support';
import { expect, it } from 'vitest';

it('housekeeping/closing: cleaning up that is cut short by close is no failure', async () => {
  const begun = deferred<void>();
  const closed = deferred<MaintenanceAnswer>();
  class Interrupted extends InProcessBackplane {
    override maintain(_request: MaintenanceRequest): Promise<MaintenanceAnswer> {
      begun.resolve();
      return closed.promise;
    }

    override async close(): Promise<void> {
      closed.reject(new Error('the connections are closed'));
      await super.close();
    }
  }
  const reported: SessionError[] = [];
  const settings = readOptions(
    'test',
    { heartbeatMs: 10, onError: (error: SessionError) => reported.push(error) },
    deliveryRules,
  );
  const manager = new BackplaneStreamSessionManager(new DeliveryNode(new Interrupted(), settings));
  await manager.publish(undefined, ': hello\n\n');
  await begun.promise;
  await manager.close();
  await closed.promise.catch(() => undefined);
  expect(reported).toEqual([]);
});
