import { deferred } from 'test-support';
import { expect, it } from 'vitest';
import {
  BackplaneSubscriptionManager,
  DeliveryNode,
  deliveryRules,
  InProcessBackplane,
  readOptions,
} from '../../src/index.ts';

it('subscriptions/large-fails-early: a large notification whose fetching fails while an earlier one is fetched harms nobody', async () => {
  const first = deferred<string | undefined>();
  let asked = 0;
  class Slow extends InProcessBackplane {
    override getLarge(): Promise<string | undefined> {
      asked += 1;
      return asked === 1 ? first.promise : Promise.reject(new Error('failed on purpose'));
    }
  }
  const settings = readOptions('test', { onError: () => undefined }, deliveryRules);
  const manager = new BackplaneSubscriptionManager(new DeliveryNode(new Slow(), settings));
  const got: string[] = [];
  await manager.create(
    { id: 1, origin: 'o', filters: { resourceSubscriptions: ['file:///a'] } },
    {
      acknowledge: () => undefined,
      send: (notification) => void got.push(notification.method),
      close: () => undefined,
    },
  );
  const params = { uri: 'file:///a', text: 'x'.repeat(70_000) };
  const large = { jsonrpc: '2.0' as const, method: 'notifications/resources/updated', params };
  await manager.publish(large);
  await manager.publish(large);
  // An unhandled rejection would fail this test here.
  await new Promise((resolve) => setTimeout(resolve, 20));
  first.resolve(JSON.stringify(large));
  await expect.poll(() => got.length).toBe(2); // the second one as a hint
  await manager.close();
});
