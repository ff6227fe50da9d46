type Handlers = Readonly<Record<string, (argument: never) => unknown>>;

/**
 * The far end of `call`: answers questions that the parent process asks. `exit` is answered by ending, so that
 * `node --cpu-prof` writes its profile.
 */
export function serve(handlers: Handlers): void {
  process.on('message', async ({ id, method, argument }: Question) => {
    try {
      if (method === 'exit') process.exit();
      const handler = handlers[method];
      if (!handler) throw new Error(`unknown: ${method}`);
      process.send?.({ id, answer: await handler(argument as never) });
    } catch (error) {
      process.send?.({ id, error: error instanceof Error ? error.stack : String(error) });
    }
  });
  process.send?.({ id: READY });
}

export type Question = { readonly id: number; readonly method: string; readonly argument: unknown };
export type Answer = { readonly id: number; readonly answer?: unknown; readonly error?: string };

/** Sent unasked, once the program answers questions. */
export const READY = 0;
