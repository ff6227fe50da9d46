import { env } from 'cloudflare:workers';
import type { Subscription, SubscriptionCallbacks } from '@tmcp/session-manager';
import type { Call } from '../call.ts';
import { meterKv, meterSockets, takeCounts } from './metering.ts';
import { isMetered } from './objects.ts';

/** What a transport does with a stream manager. */
export type Streams = {
  create(id: string, controller: ReadableStreamDefaultController, options?: { lastEventId?: string }): Promise<void>;
  delete(id: string): Promise<void>;
  has(id: string): Promise<boolean>;
  /** Resolves when a frame is accepted. */
  publish(sessions: string[] | undefined, frame: string): Promise<void>;
};

export type Listening = {
  create(subscription: Subscription, callbacks: SubscriptionCallbacks): unknown;
  closeAll(origin: string): void | Promise<void>;
};

type Method = (...args: unknown[]) => Promise<unknown>;
type Managers = { readonly streams: Streams; readonly subscriptions?: Listening } & Readonly<Record<string, object>>;

const encoder = new TextEncoder();

/** A Worker with session managers, whose methods are called over HTTP as a transport would call them in a request. */
export function serve(managers: Managers): ExportedHandler {
  if (isMetered) {
    meterSockets();
    meterKv((env as unknown as { TMCP_SESSION_INFO: KVNamespace }).TMCP_SESSION_INFO);
  }
  return {
    async fetch(request) {
      const { pathname, searchParams } = new URL(request.url);
      const id = searchParams.get('id') ?? '';
      switch (pathname) {
        case '/stream':
          return openStream(managers.streams, id, request.headers.get('last-event-id') ?? undefined);
        case '/listen':
          return listen(managers, id);
        case '/call':
          return Response.json(await perform(managers, await request.json<Call[]>()));
        case '/counts':
          return Response.json(takeCounts());
        default:
          return new Response('nothing was asked');
      }
    },
  };
}

/** As the HTTP transport answers a GET. */
function openStream(streams: Streams, id: string, lastEventId: string | undefined): Response {
  const body = new ReadableStream({
    async start(controller) {
      await streams.create(id, controller, lastEventId === undefined ? {} : { lastEventId });
      controller.enqueue(encoder.encode(': connected\n\n'));
    },
    cancel: () => streams.delete(id),
  });
  return new Response(body, { headers: { 'content-type': 'text/event-stream' } });
}

/** As the HTTP transport answers `subscriptions/listen`. */
function listen({ subscriptions }: Managers, origin: string): Response {
  const body = new ReadableStream({
    async start(controller) {
      const write = (text: string): void => controller.enqueue(encoder.encode(text));
      await subscriptions?.create(
        { id: 1, origin, filters: { toolsListChanged: true } },
        {
          acknowledge: () => write(': connected\n\n'),
          send: (notification) => write(`data: ${JSON.stringify(notification)}\n\n`),
          close: () => controller.close(),
        },
      );
    },
    cancel: () => subscriptions?.closeAll(origin),
  });
  return new Response(body, { headers: { 'content-type': 'text/event-stream' } });
}

/** All of one turn, as handlers send, unless a call is to wait for the one before. */
async function perform(managers: Managers, calls: readonly Call[]): Promise<unknown[]> {
  const results: Promise<unknown>[] = [];
  for (const { manager, method, args, first } of calls) {
    if (first === 'wait') await Promise.allSettled(results);
    const methods = managers[manager] as Record<string, Method>;
    // JSON has no `undefined`, which means everyone.
    const given = args.map((argument) => argument ?? undefined);
    results.push(Promise.resolve(methods[method]?.(...given)));
  }
  const settled = await Promise.allSettled(results);
  return settled.map((result) =>
    result.status === 'fulfilled' ? { value: result.value ?? null } : { error: String(result.reason) },
  );
}
