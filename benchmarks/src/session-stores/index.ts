import type { MeasuredStore } from './measured-store.ts';
import { openOurStore } from './ours.ts';
import type { StoreKind } from './place.ts';
import { openPublishedStore } from './published.ts';

export const storeNames = ['ours', 'ours-encrypted', 'published'] as const;
export type StoreName = (typeof storeNames)[number];

export const storeTitles: Readonly<Record<StoreName, string>> = {
  ours: 'ours',
  'ours-encrypted': 'ours, encrypted',
  published: '@mcp-ts/sdk 1.6.1',
};

/** Kinds that the published store has as well. */
const PUBLISHED_KINDS: ReadonlySet<StoreKind> = new Set(['memory', 'file', 'redis']);

/** Those that there are of this kind. */
export function storesOf(kind: StoreKind): StoreName[] {
  return storeNames.filter((name) => name !== 'published' || PUBLISHED_KINDS.has(kind));
}

export function openStore(kind: StoreKind, name: StoreName, url: string): Promise<MeasuredStore> {
  return name === 'published' ? openPublishedStore(kind, url) : openOurStore(kind, url, name === 'ours-encrypted');
}
