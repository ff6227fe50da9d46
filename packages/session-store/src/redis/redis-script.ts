import type { RedisClient } from './redis-client.ts';

/** Runs a script by its digest, and sends its text to servers that do not know it yet. */
export class RedisScript {
  readonly #text: string;
  #digest: Promise<string> | undefined;

  constructor(text: string) {
    this.#text = text;
  }

  async run(client: RedisClient, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown> {
    this.#digest ??= sha1(this.#text);
    const rest = [keys.length, ...keys, ...args];
    try {
      return await client.call('evalsha', await this.#digest, ...rest);
    } catch (error) {
      if (!(error instanceof Error && error.message.startsWith('NOSCRIPT'))) throw error;
      return client.call('eval', this.#text, ...rest);
    }
  }
}

async function sha1(text: string): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-1', new TextEncoder().encode(text));
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
