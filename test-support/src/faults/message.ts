/** Label of the `list_changed` hints by which a stream says that it could not continue. */
export const HINT = 'hint';

/** A frame as the transports write one. @param filler what it carries beside its label */
export function writeMessage(label: string, filler = ''): string {
  return `event: message\ndata: ${JSON.stringify({ label, size: filler.length, filler })}\n\n`;
}

/** The label of a frame; says so when it did not arrive as it was sent. */
export function readMessage(frame: string): string {
  const message = parse(frame.slice(frame.indexOf('data: ') + 6));
  if (message.method?.endsWith('/list_changed')) return HINT;
  if (message.label === undefined || message.filler?.length !== message.size) return `damaged: ${frame.slice(0, 120)}`;
  return message.label;
}

type Parsed = { method?: string; label?: string; size?: number; filler?: string };

function parse(json: string): Parsed {
  try {
    return JSON.parse(json) as Parsed;
  } catch {
    return {};
  }
}
