import { registerCases } from './cases.ts';
import { type InfoSuite, withInfoBackend } from './info-backend.ts';
import { infoLifetimeCases, infoRestartCases } from './info-lifetime-cases.ts';
import { infoSubscriptionCases } from './info-subscription-cases.ts';
import { infoValueCases } from './info-value-cases.ts';

/**
 * Registers the cases of the `InfoSessionManager` contract with vitest: what the transports rely on, and what several
 * processes on one backend promise each other.
 *
 * @param suite name and factory of a backend; each case gets a fresh one
 */
export function infoSessionManagerSuite({ name, setUp, processes = 'many', ...options }: InfoSuite): void {
  const cases = {
    ...infoValueCases,
    ...infoSubscriptionCases,
    ...infoLifetimeCases,
    ...(processes === 'many' ? infoRestartCases : {}),
  };
  registerCases(`${name}: info session manager`, cases, options, (run) => withInfoBackend(setUp, run));
}
