import type { TcpProxy } from 'test-support';
import type { Line } from '../faults/support/line.ts';
import { RemoteNode } from '../faults/support/remote-node.ts';
import type { NodeFigures, NodeOptions, TestNode } from '../faults/support/test-node.ts';

/** A place for one process after the other, behind a proxy of its own. What is sent to it goes to the present one. */
export class Slot implements TestNode {
  static async start(proxy: TcpProxy, options: NodeOptions): Promise<Slot> {
    return new Slot(proxy, options, await RemoteNode.start(options));
  }

  readonly proxy: TcpProxy;
  readonly #options: NodeOptions;
  readonly #past: RemoteNode[] = [];
  #present: RemoteNode;

  private constructor(proxy: TcpProxy, options: NodeOptions, present: RemoteNode) {
    this.proxy = proxy;
    this.#options = options;
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
    this.#present = await RemoteNode.start(this.#options);
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
