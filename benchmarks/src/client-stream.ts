/** The response body of one client: what a transport would return, read by nobody yet. */
export type ClientStream = {
  readonly controller: ReadableStreamDefaultController<Uint8Array>;
  readonly stream: ReadableStream<Uint8Array>;
};

export function openStream(): ClientStream {
  let controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  const stream = new ReadableStream<Uint8Array>({
    start(given) {
      controller = given;
    },
  });
  if (!controller) throw new Error('a stream starts as it is constructed');
  return { controller, stream };
}

/** Reads a body as an HTTP server would: chunk by chunk, until it ends. */
export async function readAll(stream: ReadableStream<Uint8Array>, onChunk: (chunk: Uint8Array) => void): Promise<void> {
  const reader = stream.getReader();
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    onChunk(value);
  }
}

/**
 * A controller that tells when a chunk was handed to it. For benchmarks that measure until the last controller has its
 * chunk, whatever happens to it then.
 */
export function watchController(
  controller: ReadableStreamDefaultController<Uint8Array>,
  onChunk: (chunk: Uint8Array) => void,
): ReadableStreamDefaultController<Uint8Array> {
  return {
    get desiredSize() {
      return controller.desiredSize;
    },
    enqueue(chunk: Uint8Array) {
      controller.enqueue(chunk);
      onChunk(chunk);
    },
    close: () => controller.close(),
    error: (reason: unknown) => controller.error(reason),
  };
}
