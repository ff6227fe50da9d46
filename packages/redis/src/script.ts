import { createHash } from 'node:crypto';
import { SessionError } from '@tmcp/session-manager';
import type { RedisClient } from './driver.ts';

/** How many replicas have to confirm a write, and how long they may take. */
export type ReplicaWait = { readonly replicas: number; readonly timeoutMs: number };

/** A Lua script: sent by its hash, and once in full to a server that does not know it (any more). */
export class Script {
  readonly #text: string;
  readonly #hash: string;

  constructor(text: string) {
    this.#text = text;
    this.#hash = createHash('sha1').update(text).digest('hex');
  }

  async run(client: RedisClient, keys: readonly string[], values: readonly (string | number)[]): Promise<unknown> {
    try {
      return await client.call('EVALSHA', this.#hash, keys.length, ...keys, ...values);
    } catch (error) {
      if (!(error instanceof Error && error.message.startsWith('NOSCRIPT'))) throw error;
      return client.call('EVAL', this.#text, keys.length, ...keys, ...values);
    }
  }

  /**
   * The same, and resolves only when replicas have what it wrote.
   *
   * @throws SessionError `unavailable` when fewer than asked for confirmed it in time: it is written nevertheless
   */
  async runConfirmed(
    client: RedisClient,
    keys: readonly string[],
    values: readonly (string | number)[],
    { replicas, timeoutMs }: ReplicaWait,
  ): Promise<unknown> {
    // In one pipeline, hence on one connection: what WAIT waits for is the last write of its own connection.
    const send = (command: string, script: string): Promise<PipelineReply> =>
      client
        .pipeline([
          [command, script, keys.length, ...keys, ...values],
          ['wait', replicas, timeoutMs],
        ])
        .exec();
    let reply = await send('evalsha', this.#hash);
    if (reply?.[0]?.[0]?.message.startsWith('NOSCRIPT')) reply = await send('eval', this.#text);
    const [answer, confirmed] = reply ?? [];
    const failure = answer?.[0] ?? confirmed?.[0];
    if (failure) throw failure;
    if (Number(confirmed?.[1]) < replicas) {
      throw new SessionError(
        'unavailable',
        `fewer than ${replicas} replicas of Redis confirmed a write within ${timeoutMs} ms (option "wait")`,
      );
    }
    return answer?.[1];
  }
}

type PipelineReply = [error: Error | null, result: unknown][] | null;
