/**
 * The `id:` of an SSE event: `epoch.position`, the position in base 36. It names a place in the log, not a stream,
 * so that any process can resume from it after any number of moves.
 */
export function formatEventId(epoch: string, position: number): string {
  return `${epoch}.${position.toString(36)}`;
}

const EVENT_ID = /^([a-z0-9]{1,32})\.([a-z0-9]{1,11})$/;

/** The position that an event id names in this epoch; `undefined` when it is malformed or of another epoch. */
export function parseEventId(id: string, epoch: string): number | undefined {
  const match = EVENT_ID.exec(id);
  if (match?.[1] !== epoch || match[2] === undefined) return undefined;
  const position = Number.parseInt(match[2], 36);
  return Number.isSafeInteger(position) ? position : undefined;
}
