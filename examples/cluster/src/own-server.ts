import { startPostgres } from 'test-support';
import type { BackendName } from './backends.ts';

/** A database server of our own, for trying things out. It goes with the process that started it. */
export type OwnServer = AsyncDisposable & {
  /** What it is, for people: `PostgreSQL 18.4`. */
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

/** @see backends */
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
};
