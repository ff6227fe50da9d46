import { describe, it } from 'vitest';
import { missing, requireService, type Service } from './service.ts';

/**
 * `describe` for tests that need a service. Where it is missing they count as skipped, under a name that says what to
 * install; with `REQUIRE_ALL_SERVICES=1` there is a failing test in their place.
 *
 * @example
 * describeWith(pgBouncer, 'behind a transaction pooler', () => { it('…', async () => { … }); });
 */
export function describeWith<T>(service: Service<T>, name: string, body: () => void): void {
  let found: T | undefined;
  try {
    found = requireService(service);
  } catch (error) {
    it(`${name}: needs ${service.name}`, () => {
      throw error;
    });
    return;
  }
  if (found !== undefined) describe(name, body);
  // npm cannot bring this service, and `test` has to work without it: skipped, never silently, and never in CI.
  else describe.skip(`${name} (${missing(service)})`, body);
}
