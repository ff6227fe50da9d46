import { readFile } from 'node:fs/promises';
import { Redis } from 'ioredis';
import type { StoreKind } from './place.ts';

/** Keys of many: all were written alike. */
const LOOKED_AT = 20;

/** Whether who can read the place reads tokens. @returns nothing where there is no place to look into */
export async function showsTokens(kind: StoreKind, url: string): Promise<boolean | undefined> {
  if (kind === 'file') return (await readFile(url, 'utf8')).includes('access-');
  if (kind === 'redis') return (await redisValues(url)).some((value) => value.includes('access-'));
  return undefined;
}

async function redisValues(url: string): Promise<string[]> {
  const client = new Redis(url);
  try {
    const names = (await client.keys('*')).slice(0, LOOKED_AT);
    const values = await Promise.all(names.map((name) => valuesOf(client, name)));
    return values.flat().map(String);
  } finally {
    client.disconnect();
  }
}

/** Stores keep sessions as texts or as hashes. */
async function valuesOf(client: Redis, name: string): Promise<(string | null)[]> {
  const type = await client.type(name);
  if (type === 'hash') return client.hvals(name);
  return type === 'string' ? [await client.get(name)] : [];
}
