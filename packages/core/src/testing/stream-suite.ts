import { registerCases } from './cases.ts';
import { type StreamSuite, withStreamBackend } from './stream-backend.ts';
import { streamClaimCases } from './stream-claim-cases.ts';
import { streamDeathCases } from './stream-death-cases.ts';
import { streamDeleteCases } from './stream-delete-cases.ts';
import { streamDeliveryCases } from './stream-delivery-cases.ts';
import { streamDiscontinuityCases } from './stream-discontinuity-cases.ts';
import { streamLifeCycleCases } from './stream-life-cycle-cases.ts';
import { streamLimitCases } from './stream-limit-cases.ts';
import { streamPayloadCases } from './stream-payload-cases.ts';
import { streamReplayCases } from './stream-replay-cases.ts';
import { streamResumeCases } from './stream-resume-cases.ts';
import { streamStormCases } from './stream-storm-cases.ts';

/**
 * Registers the cases of the `StreamSessionManager` contract with vitest: what the transports rely on, what several
 * processes on one backend promise each other, and what a client that reconnects may expect.
 *
 * Each case has an id that stays (`streams/takeover-newest-wins`); what it proves is said once, by the oracle of
 * `TestClient`: over all its streams, a session receives exactly what was accepted for it, each message once, in order.
 *
 * ```ts
 * import { streamSessionManagerSuite } from '@tmcp/session-manager/testing';
 *
 * streamSessionManagerSuite({
 *   name: 'my backend',
 *   setUp: async () => {
 *     const backend = await startFreshBackend();
 *     return { open: (options) => new MyStreamSessionManager({ backend, ...options }), cleanUp: () => backend.stop() };
 *   },
 * });
 * ```
 *
 * @param suite name and factory of a backend; each case gets a fresh one
 */
export function streamSessionManagerSuite({ name, setUp, ...options }: StreamSuite): void {
  const cases = {
    ...streamClaimCases,
    ...streamDeleteCases,
    ...streamDeliveryCases,
    ...streamResumeCases,
    ...streamReplayCases,
    ...streamPayloadCases,
    ...streamLimitCases,
    ...streamLifeCycleCases,
    ...streamDeathCases,
    ...streamDiscontinuityCases,
    ...streamStormCases,
  };
  registerCases(`${name}: stream session manager`, cases, options, (run) => withStreamBackend(setUp, run));
}
