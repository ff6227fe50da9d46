import type { TcpProxy } from '../tcp-proxy/tcp-proxy.ts';
import type { Line } from './line.ts';
import type { RemoteNode } from './remote-node.ts';
import type { NodeFigures, TestNode } from './test-node.ts';

/** A place for one process after the other, behind a proxy of its own. What is sent to it goes to the present one. */
export class Slot implements TestNode {
  /** @param begin starts a process whose connections go through the proxy */
  static async start(proxy: TcpProxy, begin: () => Promise<RemoteNode>): Promise<Slot> {
    return new Slot(proxy, begin, await begin());
  }

  readonly proxy: TcpProxy;
  readonly #begin: () => Promise<RemoteNode>;
  readonly #past: RemoteNode[] = [];
  #present: RemoteNode;

  private constructor(proxy: TcpProxy, begin: () => Promise<RemoteNode>, present: RemoteNode) {
    this.proxy = proxy;
    this.#begin = begin;
    this.#present = present;
  }

  get process(): RemoteNode['process'] {
    return this.#present.process;
  }

  /** Of all processes that were here. */
  get reports(): readonly string[] {
    return [...this.#past, this.#present].flatMap(({ reports }) => reports);
  }

  /** The same with their messages. */
  get errors(): readonly string[] {
    return [...this.#past, this.#present].flatMap(({ errors }) => errors);
  }

  /** SIGKILL, and another process in its place. */
  async replace(): Promise<void> {
    await this.#present.kill();
    this.#past.push(this.#present);
    this.#present = await this.#begin();
  }

  open(session: string, lastEventId?: string): Line {
    return this.#present.open(session, lastEventId);
  }

  publish(sessions: readonly string[] | undefined, frame: string): Promise<void> {
    return this.#present.publish(sessions, frame);
  }

  has(session: string): Promise<boolean> {
    return this.#present.has(session);
  }

  delete(session: string): Promise<void> {
    return this.#present.delete(session);
  }

  stats(): Promise<NodeFigures> {
    return this.#present.stats();
  }

  /** Closes the present process; the past ones must have left nothing unhandled either. */
  async close(): Promise<void> {
    const closing = [...this.#past, this.#present].map((node) => node.close());
    await Promise.allSettled(closing);
    await Promise.all(closing);
  }
}
