import type { SessionSet } from '@tmcp/session-manager';
import { postgresSessions } from '@tmcp/session-manager-postgres';
import { redisSessions } from '@tmcp/session-manager-redis';

/** A place to keep sessions in. */
export type Backend = {
  /** The environment variable that holds its address. */
  readonly variable: string;
  /** All managers of one process. */
  sessions(address: string): SessionSet;
};

/** A further backend is one more name here, one more entry below, and one in `own-server.ts`. */
export type BackendName = 'postgres' | 'redis';

export const backends: Readonly<Record<BackendName, Backend>> = {
  /** postgres://user:password@host:5432/database */
  postgres: {
    variable: 'DATABASE_URL',
    sessions: (connectionString) => postgresSessions({ connectionString }),
  },
  /** redis://user:password@host:6379/0 */
  redis: {
    variable: 'REDIS_URL',
    sessions: (url) => redisSessions({ url }),
  },
};

/** @throws when there is no such backend; the message lists those that there are */
export function backendName(name: string): BackendName {
  if (Object.hasOwn(backends, name)) return name as BackendName;
  throw new Error(`There is no backend "${name}"; known are: ${Object.keys(backends).join(', ')}`);
}
