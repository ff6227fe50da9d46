import type { DurableObject } from 'cloudflare:workers';
import { type Counts, noCounts } from '../counts.ts';

// Counts what a bill counts, where it happens: in the isolate of the objects, and in those of the Workers that call
// them. All objects of a class share an isolate here, so the counters are those of all shards.

let counts = noCounts();
/** Rows are known when a cursor has been read to its end. */
let cursors: SqlStorageCursor<Record<string, SqlStorageValue>>[] = [];

/** What happened since the last call. */
export function takeCounts(): Counts {
  addRows();
  const taken = counts;
  counts = noCounts();
  return taken;
}

/** Counts the calls that arrive at the objects of a class. */
export function meterCalls(Layer: { readonly prototype: DurableObject }): void {
  const methods = Layer.prototype as unknown as Record<string, unknown>;
  for (const name of Object.getOwnPropertyNames(Layer.prototype)) {
    const method = methods[name];
    const counter = counterOf(name);
    if (typeof method !== 'function' || counter === undefined) continue;
    methods[name] = function (this: unknown, ...args: unknown[]): unknown {
      counts[counter] += 1;
      return method.apply(this, args);
    };
  }
  meterSockets();
}

/** Counts what is sent over WebSockets. */
export function meterSockets(): void {
  replace(WebSocket.prototype, 'send', () => {
    counts.socketMessages += 1;
  });
}

/** Counts what is asked of a KV namespace. */
export function meterKv(namespace: KVNamespace): void {
  const prototype = Object.getPrototypeOf(namespace) as KVNamespace;
  for (const name of ['get', 'getWithMetadata'] as const) {
    replace(prototype, name, () => {
      counts.kvReads += 1;
    });
  }
  for (const name of ['put', 'list', 'delete'] as const) {
    replace(prototype, name, () => {
      counts.kvWrites += 1;
    });
  }
}

let isStorageMetered = false;

/**
 * Counts the rows that an object reads and writes. Called before the constructor of the class, which creates tables.
 *
 * @returns to be called after it: what was read until then, was read for the start
 */
export function meterStart({ storage }: DurableObjectState): () => void {
  if (!isStorageMetered) meterStorage(storage);
  isStorageMetered = true;
  addRows();
  const { rowsRead } = counts;
  return () => {
    addRows();
    counts.starts += 1;
    counts.rowsReadByStarts += counts.rowsRead - rowsRead;
  };
}

/** All objects of an isolate share these prototypes. */
function meterStorage(storage: DurableObjectStorage): void {
  replace(Object.getPrototypeOf(storage) as DurableObjectStorage, 'setAlarm', () => {
    counts.rowsWritten += 1;
  });
  replace(Object.getPrototypeOf(storage.sql) as SqlStorage, 'exec', (cursor) => {
    cursors.push(cursor as (typeof cursors)[number]);
  });
}

/** Has a method tell what it returns. */
function replace<K extends string>(prototype: Record<K, unknown>, name: K, tell: (result: unknown) => void): void {
  const method = prototype[name] as (...args: unknown[]) => unknown;
  prototype[name] = function (this: unknown, ...args: unknown[]): unknown {
    const result = method.apply(this, args);
    tell(result);
    return result;
  };
}

function addRows(): void {
  for (const { rowsRead, rowsWritten } of cursors) {
    counts.rowsRead += rowsRead;
    counts.rowsWritten += rowsWritten;
  }
  cursors = [];
}

function counterOf(method: string): 'requests' | 'alarms' | 'messagesIn' | undefined {
  if (method === 'alarm') return 'alarms';
  if (method === 'webSocketMessage') return 'messagesIn';
  // A close has no price of its own; all other methods are RPC, and `fetch` opens a socket.
  return ['constructor', 'webSocketClose', 'webSocketError'].includes(method) ? undefined : 'requests';
}
