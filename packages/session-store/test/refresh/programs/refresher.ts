// Refreshes the tokens of a session whenever its parent says so, wherever that is kept.
import { flushCompileCache } from 'node:module';
import type { OAuthTokens } from '../../../src/session.ts';
import { type OpenStore, openStore, type Place } from '../open-store.ts';

flushCompileCache();

export type Order = { readonly place: Place; readonly url: string; readonly stale?: string; readonly dies?: boolean };
export type Answer =
  | { readonly tokens: OAuthTokens; readonly source: string; readonly stored: boolean }
  | { readonly failed: string }
  /** The access token that is to be replaced. */
  | { readonly presenting: string | undefined };

/** By their addresses. */
const opened = new Map<string, OpenStore>();
const answer = (message: Answer): void => void process.send?.(message);

function storeAt(place: Place): OpenStore['store'] {
  const known = opened.get(place.address) ?? openStore(place);
  opened.set(place.address, known);
  return known.store;
}

async function refresh({ place, url, stale, dies = false }: Order): Promise<void> {
  try {
    const result = await storeAt(place).refreshTokens(
      'user',
      'session',
      async (current, { signal }) => {
        answer({ presenting: stale });
        // Killed by its parent before the token is presented.
        if (dies) await new Promise(() => {});
        const body = new URLSearchParams({ refresh_token: current.tokens?.refresh_token ?? '' });
        const response = await fetch(url, { method: 'POST', body, signal });
        if (!response.ok) throw new Error(`The server answered ${response.status}`);
        return (await response.json()) as OAuthTokens;
      },
      { staleAccessToken: stale },
    );
    answer(result);
  } catch (error) {
    answer({ failed: String(error) });
  }
}

process.on('message', (order: Order) => void refresh(order));
process.on('disconnect', () => void Promise.all([...opened.values()].map(({ close }) => close())));
process.send?.({ ready: true });
