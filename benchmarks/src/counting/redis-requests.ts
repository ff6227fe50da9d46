import type { Counts } from './request-counter.ts';

/** A reader waits in this one all the time, whatever there is to read: it says nothing about sessions. */
const WAITING = 'XREAD';

/**
 * Commands; those that one chunk brings together share a round trip. Counts are exact while requests are small, for a
 * command that is cut in two by the network is not put together again.
 */
export function countRedis(chunk: Buffer, counts: Counts): void {
  const commands = commandsOf(chunk).filter((name) => name !== WAITING);
  counts.statements += commands.length;
  if (commands.length > 0) counts.roundTrips += 1;
}

/** The names of the commands in a chunk: `*<count>`, then `$<bytes>` and a value for each, all ended by line breaks. */
function commandsOf(chunk: Buffer): string[] {
  const names: string[] = [];
  let at = 0;
  const line = (): string => {
    const end = chunk.indexOf('\r\n', at);
    const text = chunk.toString('latin1', at, end < 0 ? chunk.length : end);
    at = end < 0 ? chunk.length : end + 2;
    return text;
  };
  while (at < chunk.length) {
    const count = line();
    if (!count.startsWith('*')) break;
    for (let value = 0; value < Number(count.slice(1)) && at < chunk.length; value += 1) {
      const bytes = Number(line().slice(1));
      if (value === 0) names.push(chunk.toString('latin1', at, at + bytes).toUpperCase());
      at += bytes + 2;
    }
  }
  return names;
}
