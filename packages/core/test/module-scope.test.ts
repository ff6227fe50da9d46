import { afterEach, expect, it, vi } from 'vitest';
import { InMemoryInfoSessionManager, InMemoryStreamSessionManager, InMemorySubscriptionManager } from '../src/index.ts';

afterEach(() => vi.restoreAllMocks());

// The transports make these by themselves where they are given none, in Workers while the module is loaded.
it('memory/module-scope: making a manager takes no random numbers and starts no timer', async () => {
  const refuse = (): never => {
    throw new Error('not at module scope');
  };
  vi.spyOn(crypto, 'getRandomValues').mockImplementation(refuse);
  vi.spyOn(globalThis, 'setTimeout').mockImplementation(refuse);
  vi.spyOn(globalThis, 'setInterval').mockImplementation(refuse);
  const managers = [
    new InMemoryStreamSessionManager(),
    new InMemorySubscriptionManager(),
    new InMemoryInfoSessionManager(),
  ];
  vi.restoreAllMocks();
  for (const manager of managers) expect(await manager.health()).toMatchObject({ ok: true });
  await Promise.all(managers.map((manager) => manager.close()));
});
