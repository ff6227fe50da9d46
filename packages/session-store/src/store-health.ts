import type { BackendConnection } from './backend-connection.ts';
import { SessionStoreError } from './errors.ts';
import type { StoreHealth } from './session-store.ts';

/** Asks the backend whether it answers. Never rejects. */
export async function healthOf(connection: BackendConnection): Promise<StoreHealth> {
  const { driver, reporter } = connection;
  const began = performance.now();
  const result = (rest: Pick<StoreHealth, 'ok' | 'warnings' | 'error'>): StoreHealth => ({
    ...rest,
    backend: driver.backend,
    latencyMs: Math.round(performance.now() - began),
  });
  try {
    const warnings = await connection.call('health', 'read', () => driver.ping());
    return result({ ok: true, warnings: [...new Set([...reporter.warnings, ...warnings])] });
  } catch (error) {
    const code = SessionStoreError.is(error) ? error.code : 'unavailable';
    return result({ ok: false, error: code, warnings: reporter.warnings });
  }
}
