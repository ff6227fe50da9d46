import { type Deferred, deferred } from '../deferred.ts';
import { type NodeExit, type NodeProcess, spawnNode } from '../spawn-node.ts';
import type { Frame, Line, LineState } from './line.ts';
import type { NodeFigures, TestNode } from './test-node.ts';
import type { Failure, Order, Told } from './wire.ts';

/** A manager in a process of its own, which can be frozen and killed. */
export class RemoteNode implements TestNode {
  /** @param program calls `serveNode` */
  static async start(program: URL, options: object): Promise<RemoteNode> {
    const process = await spawnNode(program, [JSON.stringify(options)]);
    const node = new RemoteNode(process);
    await process.nextMessage<Told>(({ told }) => told === 'ready', { timeoutMs: 20_000 });
    process.onMessage((told) => node.#hear(told as Told));
    return node;
  }

  readonly process: NodeProcess;
  readonly reports: string[] = [];
  /** What nobody handled in that process. */
  readonly escaped: string[] = [];
  /** The same reports with their messages. */
  readonly errors: string[] = [];
  readonly #lines = new Map<number, RemoteLine>();
  readonly #calls = new Map<number, Deferred<unknown>>();
  #numbers = 0;
  #gone = false;

  private constructor(process: NodeProcess) {
    this.process = process;
    void process.exited.then(() => this.#end());
  }

  open(session: string, lastEventId?: string): Line {
    this.#numbers += 1;
    const number = this.#numbers;
    const line = new RemoteLine((order) => this.#ask((call) => ({ order, line: number, call })));
    this.#lines.set(number, line);
    if (this.#gone) line.settle({ code: 'dead', message: 'the process has ended' });
    else this.process.send({ order: 'open', line: number, session, lastEventId } satisfies Order);
    return line;
  }

  async publish(sessions: readonly string[] | undefined, frame: string): Promise<void> {
    await this.#ask((call) => ({ order: 'publish', call, sessions: sessions ?? null, frame }));
  }

  async has(session: string): Promise<boolean> {
    return (await this.#ask((call) => ({ order: 'has', call, session }))) as boolean;
  }

  async delete(session: string): Promise<void> {
    await this.#ask((call) => ({ order: 'delete', call, session }));
  }

  async stats(): Promise<NodeFigures> {
    return (await this.#ask((call) => ({ order: 'stats', call }))) as NodeFigures;
  }

  async kill(): Promise<NodeExit> {
    return this.process.kill('SIGKILL');
  }

  /** Closes the manager, then ends the process. */
  async close(): Promise<void> {
    if (!this.#gone) {
      this.process.thaw();
      await this.#ask((call) => ({ order: 'close', call })).catch(() => undefined);
    }
    await this.process[Symbol.asyncDispose]();
    if (this.escaped.length > 0) throw new Error(`nobody handled in a child: ${this.escaped.join('; ')}`);
  }

  #ask(order: (call: number) => Order): Promise<unknown> {
    if (this.#gone) return Promise.reject(new CallFailed({ code: 'dead', message: 'the process has ended' }));
    this.#numbers += 1;
    const answer = deferred<unknown>();
    this.#calls.set(this.#numbers, answer);
    this.process.send(order(this.#numbers));
    return answer.promise;
  }

  #hear(told: Told): boolean {
    if (told.told === 'answer') {
      const call = this.#calls.get(told.call);
      this.#calls.delete(told.call);
      if (told.failure) call?.reject(new CallFailed(told.failure));
      else call?.resolve(told.value);
    } else if (told.told === 'report') {
      this.reports.push(told.code);
      this.errors.push(`${told.code}: ${told.message}`);
    } else if (told.told === 'escaped') {
      this.escaped.push(told.error);
    } else if (told.told !== 'ready') {
      const line = this.#lines.get(told.line);
      if (told.told === 'created') line?.settle(told.failure);
      else if (told.told === 'frame') line?.frames.push(told.frame);
      else if (line) line.state = told.state;
    }
    return true;
  }

  /** What was asked and not answered never will be. */
  #end(): void {
    this.#gone = true;
    const dead: Failure = { code: 'dead', message: 'the process ended before it answered' };
    for (const call of this.#calls.values()) call.reject(new CallFailed(dead));
    this.#calls.clear();
    for (const line of this.#lines.values()) {
      line.settle(dead);
      if (line.state === 'open') line.state = 'failed';
    }
  }
}

/** A rejection in the other process. */
export class CallFailed extends Error {
  readonly code: string;

  constructor({ code, message }: Failure) {
    super(message);
    this.code = code;
  }
}

class RemoteLine implements Line {
  readonly created: Promise<void>;
  readonly frames: Frame[] = [];
  state: LineState = 'open';
  readonly #settled: Deferred<void> = deferred();
  readonly #order: (order: 'cancel' | 'pause' | 'resume') => Promise<unknown>;

  constructor(order: (order: 'cancel' | 'pause' | 'resume') => Promise<unknown>) {
    this.#order = order;
    this.created = this.#settled.promise;
    this.created.catch(() => undefined);
  }

  settle(failure: Failure | undefined): void {
    if (failure) this.#settled.reject(new CallFailed(failure));
    else this.#settled.resolve();
  }

  async cancel(): Promise<void> {
    // A process that has died closes its connections as well.
    await this.#order('cancel').catch(() => undefined);
  }

  pause(): void {
    void this.#order('pause').catch(() => undefined);
  }

  resume(): void {
    void this.#order('resume').catch(() => undefined);
  }
}
