import type { BackendOptions } from './backend-options.ts';
import type { BackendChoice } from './select-backend.ts';
import type { SessionStore } from './session-store.ts';

/** Makes the backend and loads what only that one needs. Nothing connects yet. */
export async function openBackend(choice: BackendChoice, options: BackendOptions): Promise<SessionStore> {
  switch (choice.backend) {
    case 'memory': {
      const { MemoryStorageBackend } = await import('./memory/index.ts');
      return new MemoryStorageBackend(options);
    }
    case 'file': {
      const { FileStorageBackend } = await import('./file/index.ts');
      return new FileStorageBackend({ ...options, path: choice.path });
    }
    case 'redis': {
      const { createRedisStorageBackend } = await import('./redis/index.ts');
      return createRedisStorageBackend(choice.url, options);
    }
    case 'neon': {
      const { openNeon } = await import('./neon/open-neon.ts');
      return openNeon(choice.url, choice.variable, options);
    }
  }
}
