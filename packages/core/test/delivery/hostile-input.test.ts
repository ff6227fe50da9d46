import { afterEach, describe, expect, it } from 'vitest';
import {
  InMemoryStreamSessionManager,
  InMemorySubscriptionManager,
  InProcessHub,
  type SessionError,
} from '../../src/index.ts';

const reports: string[] = [];
const onError = ({ code }: SessionError): void => void reports.push(code);
const open: { close(): Promise<void> }[] = [];

afterEach(async () => {
  await Promise.all(open.splice(0).map((manager) => manager.close()));
  reports.length = 0;
});

function openStreams(hub?: InProcessHub): InMemoryStreamSessionManager {
  const streams = new InMemoryStreamSessionManager({ hub, onError, keepAliveMs: 0 });
  open.push(streams);
  return streams;
}

function openSubscriptions(hub?: InProcessHub): InMemorySubscriptionManager {
  const subscriptions = new InMemorySubscriptionManager({ hub, onError });
  open.push(subscriptions);
  return subscriptions;
}

type AnyController = ReadableStreamDefaultController & ReadableByteStreamController;

/** A body that is read by nobody, and its controller. */
function body(type?: 'bytes', strategy?: QueuingStrategy): { controller: AnyController; stream: ReadableStream } {
  let controller!: AnyController;
  const source = {
    ...(type && { type }),
    start: (its: AnyController) => {
      controller = its;
    },
  } as unknown as UnderlyingDefaultSource;
  return { stream: new ReadableStream(source, strategy), controller };
}

const toolsChanged = { jsonrpc: '2.0', method: 'notifications/tools/list_changed' } as const;
const noCallbacks = { acknowledge: () => undefined, send: () => undefined, close: () => undefined };

describe('hostile input', () => {
  it('input/last-event-id: one that is no text is refused, and nothing is left unhandled', async () => {
    const streams = openStreams();
    for (const lastEventId of [Symbol('id'), [Symbol('id')], 5, {}]) {
      const opened = streams.create('session', body().controller, { lastEventId: lastEventId as unknown as string });
      await expect(opened).rejects.toMatchObject({ code: 'invalid-option' });
    }
    await streams.create('session', body().controller, { lastEventId: null as unknown as string });
    expect(streams.stats().attached).toBe(1);
  });

  it('input/byte-stream: the controller of a byte stream is refused: it would take shared chunks from others', async () => {
    const streams = openStreams();
    await expect(streams.create('bytes', body('bytes').controller)).rejects.toMatchObject({ code: 'invalid-option' });
    await expect(streams.create('none', undefined as unknown as AnyController)).rejects.toMatchObject({
      code: 'invalid-option',
    });
    expect(streams.stats().attached).toBe(0);
  });

  it('input/unlimited-queue: a body whose queue has no limit is delivered to, and ends in order', async () => {
    const streams = openStreams();
    const { controller, stream } = body(undefined, { highWaterMark: Number.POSITIVE_INFINITY });
    await streams.create('session', controller);
    await streams.publish(['session'], 'data: 1\n\n');
    await expect.poll(() => streams.stats().delivered).toBe(1);
    await streams.close();
    const chunks: unknown[] = [];
    for await (const chunk of stream) chunks.push(chunk);
    expect(chunks).toHaveLength(1);
  });

  it('input/receivers: what is no array of ids is refused with a code', async () => {
    const streams = openStreams();
    for (const sessions of ['session', 5, {}, Symbol('id')]) {
      const sent = streams.publish(sessions as unknown as string[], 'data: 1\n\n');
      await expect(sent).rejects.toMatchObject({ code: 'invalid-id' });
    }
  });

  it('input/subscription: one without filters or callbacks is refused, before anything is matched with it', async () => {
    const subscriptions = openSubscriptions();
    const whole = { id: 1, origin: 'origin', filters: {} };
    const broken: [unknown, unknown][] = [
      [undefined, noCallbacks],
      [{ ...whole, filters: undefined }, noCallbacks],
      [{ ...whole, filters: null }, noCallbacks],
      [{ ...whole, filters: { resourceSubscriptions: 5 } }, noCallbacks],
      [{ ...whole, id: undefined }, noCallbacks],
      [whole, undefined],
      [whole, { ...noCallbacks, close: undefined }],
    ];
    for (const [subscription, callbacks] of broken) {
      await expect(subscriptions.create(subscription as never, callbacks as never)).rejects.toMatchObject({
        code: 'invalid-option',
      });
    }
    expect(subscriptions.stats().attached).toBe(0);
    await subscriptions.publish(toolsChanged);
  });

  it('input/close-without-id: ends nothing, for only a call without arguments shuts down', async () => {
    const subscriptions = openSubscriptions();
    await subscriptions.create({ id: 1, origin: 'origin', filters: {} }, noCallbacks);
    expect(await subscriptions.close(undefined as unknown as string, 'origin', 'cancelled')).toBe(false);
    expect(await subscriptions.close(1, undefined as unknown as string, 'cancelled')).toBe(false);
    expect(subscriptions.stats().attached).toBe(1);
    await subscriptions.publish(toolsChanged);
  });

  it('input/notification-as-json: one whose JSON is no object is refused', async () => {
    const subscriptions = openSubscriptions();
    const sent = subscriptions.publish({ ...toolsChanged, toJSON: () => null } as typeof toolsChanged);
    await expect(sent).rejects.toMatchObject({ code: 'invalid-message' });
  });

  it('input/unreadable-entry: an entry that nobody understands is reported and skipped', async () => {
    const hub = new InProcessHub();
    const streams = openStreams(hub);
    await streams.create('session', body().controller);
    const { log, listeners } = hub.namespace('default');
    for (const head of ['{', '[null]', '[[null,5]]', '["text"]', '[5]']) {
      const part = { count: 1, head, data: '', bytes: 1 };
      const batch = { epoch: log.epoch, node: 'x', producer: head, number: 1, acknowledged: 0, controls: [] };
      const { stored } = log.append({ ...batch, parts: [part] });
      for (const listener of listeners.values()) listener.parts(stored);
    }
    await streams.publish(['session'], 'data: 1\n\n');
    await expect.poll(() => streams.stats().delivered).toBe(1);
    expect(new Set(reports)).toEqual(new Set(['discontinuity']));
  });
});
