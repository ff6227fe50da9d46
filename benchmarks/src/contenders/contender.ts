import type { PlaceOptions } from '../backends/backend.ts';

/**
 * A way to bring messages from one process to streams that other processes hold. Benchmarks run the same load through
 * each of them.
 */
export type Contender = {
  readonly title: string;
  /** What it needs of its server. */
  readonly place?: PlaceOptions;
  openSender(url: string): Promise<Sender>;
  openReceiver(url: string): Promise<Receiver>;
};

export type Sender = {
  /** Resolves with the acknowledgement that this contender gives. */
  send(session: string, frame: string): Promise<void>;
  /** To every session. */
  broadcast?(frame: string): Promise<void>;
};

export type Receiver = {
  hold(session: string, controller: ReadableStreamDefaultController<Uint8Array>): Promise<void>;
  /** Messages that have passed this process, its own and others'; `undefined` where only its own do. */
  passed(): number | undefined;
};
