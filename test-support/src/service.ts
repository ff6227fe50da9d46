/** Something tests need that npm cannot bring. */
export interface Service<T> {
  readonly name: string;
  /** The command that installs it. */
  readonly install: string;
  /** What stands on this machine, if anything. */
  readonly find: () => T | undefined;
}

/**
 * The service, or `undefined` where it is missing: the tests that need it are then skipped. Where `REQUIRE_ALL_SERVICES=1`
 * says that nothing may be skipped, as in CI, a missing service is an error.
 */
export function requireService<T>(service: Service<T>): T | undefined {
  const found = service.find();
  if (found === undefined && process.env.REQUIRE_ALL_SERVICES === '1') {
    throw new Error(`${missing(service)} (REQUIRE_ALL_SERVICES=1)`);
  }
  return found;
}

export function missing(service: Service<unknown>): string {
  return `${service.name} is missing; install it with: ${service.install}`;
}
