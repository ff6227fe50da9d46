const encoder = new TextEncoder();

/** A frame as the transports write one: a JSON-RPC message on one line. */
export function frameOf(message: unknown): string {
  return `event: message\ndata: ${JSON.stringify(message)}\n\n`;
}

/** A frame that is recognized by its label. @param text what else it carries */
export function frame(label: string, text = ''): string {
  return frameOf({ jsonrpc: '2.0', method: 'notifications/message', params: { label, text } });
}

/** The same, of exactly this many UTF-8 bytes. */
export function frameOfSize(label: string, bytes: number): string {
  const missing = bytes - encoder.encode(frame(label)).length;
  return frame(label, 'x'.repeat(missing));
}

/** What a server sends to everyone when one of its lists has changed. */
export function listChanged(list: 'tools' | 'prompts' | 'resources'): string {
  return frameOf({ jsonrpc: '2.0', method: `notifications/${list}/list_changed` });
}

/** What a client calls a message: its label, or `tools changed` for one that says so. */
export function labelOf(data: string): string {
  const message = JSON.parse(data) as { method?: string; params?: { label?: string } };
  const list = /^notifications\/(\w+)\/list_changed$/.exec(message.method ?? '')?.[1];
  return message.params?.label ?? (list ? `${list} changed` : `? ${data.slice(0, 80)}`);
}

/** What a stream begins with that could not continue where its client left off. */
export const HINTS: readonly string[] = ['tools changed', 'prompts changed', 'resources changed'];

/** `label1`, `label2`, … */
export function labels(count: number, start = 1, prefix = ''): string[] {
  return Array.from({ length: count }, (_, index) => `${prefix}${start + index}`);
}
