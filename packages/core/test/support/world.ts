import type { BackplaneLimits } from '../../src/delivery/backplane.ts';
import { BackplaneStreamSessionManager } from '../../src/delivery/backplane-stream-session-manager.ts';
import type { OutgoingControl } from '../../src/delivery/batch.ts';
import { type DeliveryOptions, deliveryRules } from '../../src/delivery/delivery-options.ts';
import { isPayload } from '../../src/delivery/entries.ts';
import { DeliveryNode } from '../../src/delivery/node.ts';
import type { SessionError, SessionErrorCode } from '../../src/errors.ts';
import { InProcessBackplane, InProcessHub } from '../../src/in-memory/in-process-backplane.ts';
import type { InProcessLog } from '../../src/in-memory/in-process-log.ts';
import { readOptions } from '../../src/options.ts';
import { FaultyBackplane, type Network } from '../faulty-backplane.ts';
import { type HistoryEntry, recordHistory } from './log-faults.ts';
import { seededRandom, VirtualTime } from './virtual-time.ts';

/** Several processes on one log, in virtual time. */
export class World implements Network {
  readonly time: VirtualTime = new VirtualTime();
  readonly hub: InProcessHub = new InProcessHub();
  readonly log: InProcessLog = this.hub.namespace('default').log;
  readonly history: HistoryEntry[] = recordHistory(this.log);
  readonly backplanes: Map<string, FaultyBackplane> = new Map();
  readonly judged: Map<string, number[]> = new Map();
  readonly nodes: TestNode[] = [];
  readonly messages: Message[] = [];
  readonly #random: () => number;
  readonly #longestLatencyMs: number;
  spinning: string | undefined;
  /** Calls of managers that have not settled. */
  readonly pending: Set<string> = new Set();

  constructor(seed: number, longestLatencyMs = 0) {
    this.#random = seededRandom(seed);
    this.#longestLatencyMs = longestLatencyMs;
  }

  latencyMs(): number {
    return this.#longestLatencyMs === 0 ? 0 : Math.floor(this.#random() * (this.#longestLatencyMs + 1));
  }

  addNode(options: DeliveryOptions = {}, limits?: Partial<BackplaneLimits>): TestNode {
    const node = new TestNode(this, `process ${this.nodes.length + 1}`, options, limits);
    this.nodes.push(node);
    return node;
  }

  /** Sends a message that no other message equals. */
  publish(node: TestNode, to: readonly string[] | undefined, padding = ''): Message {
    const number = this.messages.length + 1;
    const message: Message = { number, node, to, outcome: 'pending' };
    this.messages.push(message);
    node
      .run('publish', () => node.manager.publish(to, `data: ${number} ${padding}\n\n`))
      .then(
        () => {
          message.outcome = 'accepted';
        },
        (error: SessionError) => {
          message.outcome = error.code;
        },
      );
    return message;
  }

  /** What the log ever held for a session, in order. */
  addressedTo(session: string): HistoryEntry[] {
    return this.history.filter(({ item }) => {
      if (!isPayload(item)) return false;
      const [to] = item;
      return to === 0 || to === session || (typeof to === 'object' && to.includes(session));
    });
  }

  /** Runs a test in the time of this world. */
  static async run<T>(
    { seed, latencyMs = 0 }: { seed: number; latencyMs?: number },
    test: (world: World) => Promise<T>,
  ): Promise<T> {
    const world = new World(seed, latencyMs);
    world.time.install(seed);
    try {
      return await test(world);
    } finally {
      world.time.uninstall();
    }
  }
}

export type Message = {
  readonly number: number;
  readonly node: TestNode;
  readonly to: readonly string[] | undefined;
  outcome: 'pending' | 'accepted' | SessionErrorCode;
};

/** One process: a node with a stream manager behind a faulty backplane. */
export class TestNode {
  readonly name: string;
  readonly world: World;
  readonly backplane: FaultyBackplane;
  readonly node: DeliveryNode;
  readonly manager: BackplaneStreamSessionManager;
  readonly errors: SessionError[] = [];
  /** What was reported, and when. */
  readonly reports: { readonly time: number; readonly code: SessionErrorCode }[] = [];
  state: 'up' | 'frozen' | 'crashed' | 'closing' | 'closed' = 'up';
  /** The claim that the last call of `create` sent. */
  lastClaim: string | undefined;

  constructor(world: World, name: string, options: DeliveryOptions, limits?: Partial<BackplaneLimits>) {
    this.world = world;
    this.name = name;
    const settings = readOptions(
      'test',
      {
        ...options,
        onError: (error: SessionError) => {
          this.errors.push(error);
          this.reports.push({ time: world.time.now, code: error.code });
        },
      },
      deliveryRules,
    );
    const inner = new InProcessBackplane({ hub: world.hub, sessionTimeoutMs: settings.sessionTimeoutMs });
    this.backplane = new FaultyBackplane(inner, world, name, limits);
    this.node = new DeliveryNode(this.backplane, settings);
    const control = this.node.control.bind(this.node);
    this.node.control = (operation: OutgoingControl) => {
      if (operation.k === 'c') this.lastClaim = operation.c;
      return control(operation);
    };
    this.manager = new BackplaneStreamSessionManager(this.node);
  }

  /** Calls something in this process, and counts it as pending until it settles. */
  async run<T>(what: string, call: () => Promise<T>): Promise<T> {
    const label = `${this.name}: ${what} #${++counter}`;
    this.world.pending.add(label);
    try {
      return await this.world.time.as(this.name, call);
    } finally {
      this.world.pending.delete(label);
    }
  }

  crash(): void {
    this.state = 'crashed';
    this.backplane.crash();
    // Its promises will never settle, and nobody is left to wait for them.
    for (const label of this.world.pending) if (label.startsWith(`${this.name}:`)) this.world.pending.delete(label);
  }

  freeze(): void {
    this.state = 'frozen';
    this.backplane.freeze();
  }

  async thaw(first: 'data' | 'timers'): Promise<void> {
    this.state = 'up';
    await this.backplane.thaw(first);
  }

  codes(): string[] {
    return this.errors.map(({ code }) => code);
  }
}

let counter = 0;
