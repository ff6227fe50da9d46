import { startPostgres, startRedis } from 'test-support';
import type { BackendName } from './backends.ts';

/** A server of our own to keep sessions in, for trying things out. It goes with the process that started it. */
export type OwnServer = AsyncDisposable & {
  /** What it is, for people: `PostgreSQL 18.4`, `Redis 7.0.15`. */
  readonly title: string;
  readonly address: string;
  /**
   * Has the server break off every connection that the processes have: those that wait for news, those that write,
   * those that are idle.
   *
   * @returns how many these were
   */
  cutConnections(): Promise<number>;
};

/**
 * PostgreSQL comes with npm. Redis does not: where it is missing, the error says what to install.
 *
 * @see backends
 */
export const ownServers: { readonly [name in BackendName]: () => Promise<OwnServer> } = {
  postgres: async () => {
    const server = await startPostgres();
    const [row] = await server.query('show server_version');
    return {
      title: `PostgreSQL ${row?.server_version}`,
      address: server.url,
      cutConnections: () => server.terminate(),
      [Symbol.asyncDispose]: () => server.stop(),
    };
  },
  redis: async () => {
    // As it should be where sessions have to outlive a restart.
    const server = await startRedis({ settings: { appendonly: 'yes', 'maxmemory-policy': 'noeviction' } });
    const valkey = await server.info('valkey_version');
    return {
      title: valkey === undefined ? `Redis ${server.version}` : `Valkey ${valkey}`,
      address: server.url,
      // All but the one that asks.
      cutConnections: async () => Number(await server.command('CLIENT', 'KILL', 'SKIPME', 'yes')),
      [Symbol.asyncDispose]: () => server.stop(),
    };
  },
};
