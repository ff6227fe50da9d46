import { sessionStoreConformance } from '@tmcp/session-store/testing';
import { afterAll, beforeAll } from 'vitest';
import { type NeonPlace, neonBackend, startNeon } from './neon-harness.ts';

let place: NeonPlace;
beforeAll(async () => {
  place = await startNeon({ tenants: true });
});
afterAll(() => place.stop());

sessionStoreConformance(
  'neon with row-level security for users',
  neonBackend(
    () => place,
    () => ({ rls: 'tenant', admin: place.admin }),
  ),
  { concurrent: true },
);
