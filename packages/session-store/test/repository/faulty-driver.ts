import type { SessionDriver } from '../../src/session-driver.ts';

export type Fault = (method: string, call: () => Promise<unknown>) => Promise<unknown>;

/** The memory driver, with something in between: what stands between a process and its server. */
export function withFaults(driver: SessionDriver, fault: () => Fault | undefined): SessionDriver {
  const methods = {} as Record<string, (...args: unknown[]) => unknown>;
  const names = ['init', 'insert', 'patch', 'read', 'readUser', 'listIds', 'remove', 'acquireLease'] as const;
  for (const name of [...names, 'releaseLease', 'sweep', 'clear', 'ping', 'close'] as const) {
    methods[name] = (...args) => {
      const call = (): Promise<unknown> => (driver[name] as (...given: unknown[]) => Promise<unknown>)(...args);
      return fault()?.(name, call) ?? call();
    };
  }
  async function* scan(): AsyncIterable<{ userId: string; sessionId: string }> {
    await methods.ping?.();
    yield* driver.scan();
  }
  return { backend: 'faulty', ...methods, scan } as unknown as SessionDriver;
}
