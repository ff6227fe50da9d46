import { sessionStoreConformance } from '@tmcp/session-store/testing';
import { afterAll, beforeAll } from 'vitest';
import { type NeonPlace, neonBackend, startNeon } from './neon-harness.ts';

let place: NeonPlace;
beforeAll(async () => {
  place = await startNeon();
});
afterAll(() => place.stop());

sessionStoreConformance(
  'neon over HTTP',
  neonBackend(
    () => place,
    () => ({}),
  ),
  { concurrent: true },
);
