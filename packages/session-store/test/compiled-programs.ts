import { join } from 'node:path';

/**
 * For `spawnNode`: what a process has compiled, those after it load. Processes that are killed hundreds of times would
 * else do little but start. They write it with `flushCompileCache()`, since they do not live to write it at their end.
 */
export const COMPILED: Readonly<Record<string, string>> = {
  NODE_COMPILE_CACHE: join(import.meta.dirname, '../node_modules/.cache/compiled-programs'),
};
