import { type Heard, listen, unique } from 'test-support/backplane-suites';
import { afterEach } from 'vitest';
import type { RedisConnectionOptions } from '../src/options.ts';
import { RedisBackplane, type RedisBackplaneOptions } from '../src/redis-backplane.ts';
import { RedisConnection } from '../src/redis-connection.ts';

export type OpenBackplane = {
  readonly backplane: RedisBackplane;
  readonly connection: RedisConnection;
  readonly heard: Heard;
  readonly node: string;
};

export { frame, listen, Producer, part, unique } from 'test-support/backplane-suites';

const open: RedisBackplane[] = [];

/** Closes whatever tests of this file have opened. */
export function closeAfterEach(): void {
  afterEach(async () => {
    await Promise.all(open.splice(0).map((backplane) => backplane.close()));
  });
}

/** A node on the log, listening and registered at its head. */
export async function openBackplane(
  options: RedisConnectionOptions,
  settings: Partial<RedisBackplaneOptions> = {},
): Promise<OpenBackplane> {
  const connection = new RedisConnection(options);
  const backplane = new RedisBackplane(connection, { namespace: 'default', sessionTimeoutMs: 10_000, ...settings });
  open.push(backplane);
  const { listener, ...heard } = listen();
  const node = unique('node');
  await backplane.open(node, listener);
  await backplane.beat({ node, cursor: undefined, check: undefined });
  return { backplane, connection, heard, node };
}
