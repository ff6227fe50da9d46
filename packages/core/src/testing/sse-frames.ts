/** One block of an event stream: an event, or a comment. */
export type SseFrame = {
  readonly id: string | undefined;
  readonly event: string | undefined;
  readonly data: string | undefined;
  /** Text of the first comment line. */
  readonly comment: string | undefined;
};

const LINE_END = /\r\n|\r|\n/;
const FRAME_END = /\r\n\r\n|\n\n|\r\r/;

/** Cuts an event stream into frames as they arrive. */
export class SseParser {
  readonly #decoder = new TextDecoder('utf-8', { fatal: true });
  #rest = '';

  /** @throws TypeError when the bytes are not UTF-8 */
  push(chunk: Uint8Array): SseFrame[] {
    const blocks = (this.#rest + this.#decoder.decode(chunk, { stream: true })).split(FRAME_END);
    this.#rest = blocks.pop() ?? '';
    return blocks.filter((block) => block !== '').map(parseFrame);
  }
}

function parseFrame(block: string): SseFrame {
  const fields = new Map<string, string>();
  const data: string[] = [];
  for (const line of block.split(LINE_END)) {
    const colon = line.indexOf(':');
    const [name, value] = colon < 0 ? [line, ''] : [line.slice(0, colon), line.slice(colon + 1).replace(/^ /, '')];
    if (name === 'data') data.push(value);
    else if (!fields.has(name)) fields.set(name, value);
  }
  return {
    id: fields.get('id'),
    event: fields.get('event'),
    data: data.length > 0 ? data.join('\n') : undefined,
    comment: fields.get(''),
  };
}
