import type { DriverContext } from '../backend-options.ts';
import { configError, missingPackage, unavailable } from '../session-errors.ts';
import type { RedisClient } from './redis-client.ts';

const FIRST_RETRY_MS = 50;
const LONGEST_RETRY_MS = 2_000;
const FAREWELL_MS = 1_000;

/**
 * A client of our own. It connects when it is first used, and again for as long as it is not ended.
 *
 * @param silenceMs a connection that owes an answer for so long is replaced
 */
export async function createClient(url: string, silenceMs: number): Promise<RedisClient> {
  assertRedisUrl(url);
  const { Redis } = await import('ioredis').catch((error: unknown) => {
    throw missingPackage('redis', 'ioredis', error);
  });
  return new Redis(url, {
    lazyConnect: true,
    // We wait for the connection ourselves, and repeat what may be repeated, with a deadline.
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    // With no tries of its own it ends at once what was on its way when a connection breaks, and not at the deadline.
    maxRetriesPerRequest: 0,
    // The operating system would go on sending for a quarter of an hour where nobody listens any more.
    socketTimeout: silenceMs,
    retryStrategy: (attempt) =>
      Math.min(FIRST_RETRY_MS * 2 ** Math.min(attempt - 1, 10), LONGEST_RETRY_MS) * (0.5 + Math.random() / 2),
  });
}

/** Tells of the first failure of each outage: calls that run then fail by themselves, but perhaps none does. */
export function reportOutages(client: RedisClient, report: DriverContext['report']): void {
  let told = false;
  client.on('error', (error: unknown) => {
    if (told) return;
    told = true;
    report.error(unavailable('redis', 'the connection', { cause: error }));
  });
  client.on('ready', () => {
    told = false;
  });
}

/** Lets answers that are on their way arrive, for a moment. */
export async function endClient(client: RedisClient): Promise<void> {
  if (client.status === 'ready') {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise((resolve) => {
      timer = setTimeout(resolve, FAREWELL_MS);
    });
    // A connection that breaks now has ended as well.
    await Promise.race([client.call('quit').catch(() => {}), late]);
    clearTimeout(timer);
  }
  client.disconnect();
}

/** @throws SessionStoreError `config`; the text itself is not shown, for there is a password in it */
function assertRedisUrl(url: string): void {
  const protocol = URL.canParse(url) ? new URL(url).protocol : undefined;
  if (protocol !== 'redis:' && protocol !== 'rediss:') throw configError('The address is not a valid redis URL');
}
