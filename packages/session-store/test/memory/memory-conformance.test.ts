import { MemoryStorageBackend } from '@tmcp/session-store/memory';
import { sessionStoreConformance } from '@tmcp/session-store/testing';

sessionStoreConformance(
  'memory',
  async () => ({
    open: (options) => new MemoryStorageBackend(options),
    sharesData: false,
    cleanUp: async () => undefined,
  }),
  { sharesData: false, concurrent: true },
);
