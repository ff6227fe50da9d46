import { registerCases } from './cases.ts';
import { type SubscriptionSuite, withSubscriptionBackend } from './subscription-backend.ts';
import { subscriptionCloseCases } from './subscription-close-cases.ts';
import { subscriptionCreateCases } from './subscription-create-cases.ts';
import { subscriptionDeliveryCases } from './subscription-delivery-cases.ts';
import { subscriptionLifeCycleCases } from './subscription-life-cycle-cases.ts';

/**
 * Registers the cases of the `SubscriptionManager` contract with vitest: what `subscriptions/listen` relies on, and
 * what several processes on one backend promise each other.
 *
 * @param suite name and factory of a backend; each case gets a fresh one
 */
export function subscriptionManagerSuite({ name, setUp, ...options }: SubscriptionSuite): void {
  const cases = {
    ...subscriptionCreateCases,
    ...subscriptionDeliveryCases,
    ...subscriptionCloseCases,
    ...subscriptionLifeCycleCases,
  };
  registerCases(`${name}: subscription manager`, cases, options, (run) => withSubscriptionBackend(setUp, run));
}
