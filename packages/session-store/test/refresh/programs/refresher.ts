// Refreshes the tokens of a session whenever its parent says so.
import { flushCompileCache } from 'node:module';
import type { OAuthTokens } from '../../../src/session.ts';
import { openStore, type Place } from '../open-store.ts';

flushCompileCache();

export type Order = { readonly url: string; readonly stale?: string; readonly dies?: boolean };
export type Answer =
  | { readonly tokens: OAuthTokens; readonly source: string; readonly stored: boolean }
  | { readonly failed: string }
  | { readonly presenting: true };

const { store, close } = openStore(JSON.parse(process.argv[2] ?? '') as Place);
const answer = (message: Answer): void => void process.send?.(message);

async function refresh({ url, stale, dies = false }: Order): Promise<void> {
  try {
    const result = await store.refreshTokens(
      'user',
      'session',
      async (current, { signal }) => {
        answer({ presenting: true });
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
process.on('disconnect', () => void close());
process.send?.({ ready: true });
