import { type Heard, listen, unique } from 'test-support/backplane-suites';
import { afterEach } from 'vitest';
import type { PostgresConnectionOptions } from '../src/options.ts';
import { PostgresBackplane, type PostgresBackplaneOptions } from '../src/postgres-backplane.ts';
import { PostgresConnection } from '../src/postgres-connection.ts';

export type OpenBackplane = {
  readonly backplane: PostgresBackplane;
  readonly connection: PostgresConnection;
  readonly heard: Heard;
  readonly node: string;
};

export { frame, listen, Producer, part, unique } from 'test-support/backplane-suites';

const open: PostgresBackplane[] = [];

/** Closes whatever tests of this file have opened. */
export function closeAfterEach(): void {
  afterEach(async () => {
    await Promise.all(open.splice(0).map((backplane) => backplane.close()));
  });
}

export function makeBackplane(
  connection: PostgresConnection,
  options: Partial<PostgresBackplaneOptions> = {},
): PostgresBackplane {
  const backplane = new PostgresBackplane(connection, {
    namespace: 'default',
    durability: 'commit',
    sessionTimeoutMs: 10_000,
    ...options,
  });
  open.push(backplane);
  return backplane;
}

/** A node on the log, listening and registered at its head. */
export async function openBackplane(
  options: PostgresConnectionOptions | PostgresConnection,
  settings: Partial<PostgresBackplaneOptions> = {},
): Promise<OpenBackplane> {
  const connection = options instanceof PostgresConnection ? options : new PostgresConnection(options);
  const backplane = makeBackplane(connection, settings);
  const { listener, ...heard } = listen();
  const node = unique('node');
  await backplane.open(node, listener);
  await backplane.beat({ node, cursor: undefined, check: undefined });
  return { backplane, connection, heard, node };
}
