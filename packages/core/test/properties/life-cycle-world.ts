import type { ClaimAnswer } from '../../src/delivery/backplane.ts';
import { parseEventId } from '../../src/delivery/event-id.ts';
import { HINTS } from '../../src/testing/messages.ts';
import type { CallFault, CallName, PushFault } from '../faulty-backplane.ts';
import type { HistoryEntry } from '../support/log-faults.ts';
import { Connection, type Frame, messageNumber } from '../support/sse-client.ts';
import type { TestNode, World } from '../support/world.ts';

export type Step =
  | {
      readonly do: 'send';
      readonly by: number;
      readonly to: readonly number[] | undefined;
      readonly count: number;
      readonly bytes?: number;
    }
  | {
      readonly do: 'open';
      readonly client: number;
      readonly at: number;
      /** With `lost`, the client names the event before the last ones it got, as if they had been lost on the way. */
      readonly how: 'take over' | 'cancel first' | { readonly lost: number; readonly cancel: boolean };
    }
  | { readonly do: 'cancel'; readonly client: number }
  | { readonly do: 'end'; readonly client: number; readonly at: number }
  | { readonly do: 'has'; readonly client: number; readonly at: number }
  | { readonly do: 'pause' | 'resume'; readonly client: number }
  | { readonly do: 'crash'; readonly node: number }
  | { readonly do: 'close'; readonly node: number }
  | { readonly do: 'freeze'; readonly node: number }
  | { readonly do: 'thaw'; readonly first: 'data' | 'timers' }
  | { readonly do: 'listen'; readonly node: number; readonly up: boolean }
  | { readonly do: 'cut'; readonly node: number; readonly off: boolean }
  | { readonly do: 'call'; readonly node: number; readonly call: CallName; readonly fault: CallFault }
  | { readonly do: 'push'; readonly node: number; readonly fault: PushFault }
  | { readonly do: 'advance'; readonly ms: number };

/** Longer than a run: nobody is cleaned up, nothing is trimmed, no claim expires. */
const OPTIONS = { resumeWindowMs: 3_600_000, maxStreamBufferBytes: 500 };

/** A few processes and a few clients that come and go. */
export class LifeCycleWorld {
  readonly world: World;
  readonly clients: LifeClient[];
  readonly #nodes: TestNode[];
  readonly answers: Map<string, ClaimAnswer> = new Map();

  constructor(world: World, nodes: number, clients: number) {
    this.world = world;
    this.#nodes = Array.from({ length: nodes }, () => world.addNode(OPTIONS));
    this.clients = Array.from({ length: clients }, (_, index) => new LifeClient(this, `session ${index}`));
    const append = world.log.append.bind(world.log);
    world.log.append = (batch) => {
      const result = append(batch);
      if (result.answer.state === 'stored') {
        for (const claim of result.answer.claims) {
          if (!this.answers.has(claim.claim)) this.answers.set(claim.claim, claim);
        }
      }
      return result;
    };
  }

  /** Processes that can be talked to. */
  get up(): TestNode[] {
    return this.#nodes.filter(({ state }) => state === 'up');
  }

  async carryOut(step: Step): Promise<void> {
    const { world } = this;
    switch (step.do) {
      case 'send':
        for (let n = 0; n < step.count; n += 1) {
          const to = step.to?.map((index) => this.#client(index).session);
          world.publish(this.#node(step.by), to, '.'.repeat(step.bytes ?? 0));
        }
        break;
      case 'open':
        this.#client(step.client).open(this.#node(step.at), step.how);
        break;
      case 'cancel':
        this.#client(step.client).cancel();
        break;
      case 'end': {
        const { session } = this.#client(step.client);
        const node = this.#node(step.at);
        void node.run('delete', () => node.manager.delete(session));
        break;
      }
      case 'has': {
        const { session } = this.#client(step.client);
        const node = this.#node(step.at);
        node.run('has', () => node.manager.has(session)).catch(() => undefined);
        break;
      }
      case 'pause':
        this.#client(step.client).newest?.pause();
        break;
      case 'resume':
        this.#client(step.client).newest?.resume();
        break;
      case 'crash':
        this.#replace(this.#node(step.node), (node) => node.crash());
        break;
      case 'close':
        this.#replace(this.#node(step.node), closeManager);
        break;
      case 'freeze':
        if (this.up.length > 1) this.#node(step.node).freeze();
        break;
      case 'thaw':
        for (const node of this.#nodes) if (node.state === 'frozen') await node.thaw(step.first);
        break;
      case 'listen':
        this.#node(step.node).backplane.listen(step.up);
        break;
      case 'cut':
        this.#node(step.node).backplane.cutOff(step.off);
        break;
      case 'call':
        this.#node(step.node).backplane.failNext(step.call, step.fault);
        break;
      case 'push':
        this.#node(step.node).backplane.failNextPush(step.fault);
        break;
      case 'advance':
        await world.time.advance(step.ms);
        break;
    }
    await world.time.settle();
  }

  async heal(): Promise<void> {
    for (const node of this.#nodes) {
      if (node.state === 'frozen') await node.thaw('data');
      node.backplane.heal();
    }
    for (const { connections } of this.clients) for (const connection of connections) connection.resume();
  }

  /** Closes what still runs. */
  async close(): Promise<void> {
    for (const node of this.up) closeManager(node);
    await this.world.time.settle();
  }

  /** Whether a process was judged not to be attached between two moments. */
  wasJudged(nodeId: string, from: number, to: number = Number.POSITIVE_INFINITY): boolean {
    return this.world.judged.get(nodeId)?.some((time) => time >= from && time <= to) ?? false;
  }

  #node(index: number): TestNode {
    const { up } = this;
    const node = up[index % up.length];
    if (!node) throw new Error('every process stands still');
    return node;
  }

  #client(index: number): LifeClient {
    const client = this.clients[index % this.clients.length];
    if (!client) throw new Error('no client');
    return client;
  }

  /** A process goes, a new one takes its place. */
  #replace(node: TestNode, go: (node: TestNode) => void): void {
    go(node);
    this.#nodes.push(this.world.addNode(OPTIONS));
  }
}

function positionOf(id: string | undefined): number {
  return (id && parseEventId(id, id.split('.')[0] ?? '')) || 0;
}

function closeManager(node: TestNode): void {
  node.state = 'closing';
  void node
    .run('close', () => node.manager.close())
    .then(() => {
      node.state = 'closed';
    });
}

/** The client of one session, and what it has received. */
export class LifeClient {
  readonly session: string;
  readonly #life: LifeCycleWorld;
  readonly connections: Connection[] = [];

  constructor(life: LifeCycleWorld, session: string) {
    this.#life = life;
    this.session = session;
  }

  get newest(): Connection | undefined {
    return this.connections.at(-1);
  }

  open(node: TestNode, how: Extract<Step, { do: 'open' }>['how']): void {
    let lastId: string | undefined;
    if (typeof how === 'object' || this.#hasToName()) {
      if (typeof how === 'object') this.#lose(how.lost);
      lastId = this.#lastId();
      if (lastId !== undefined) for (const connection of this.connections) connection.deaf = true;
    }
    if (how === 'cancel first' || (typeof how === 'object' && how.cancel)) this.cancel();
    this.connections.push(new Connection(node, this.session, lastId));
  }

  /** The tail of what was sent never arrived; something has to be left that can be named. */
  #lose(count: number): void {
    const last = this.connections.findLast(({ lastId }) => lastId !== undefined && lastId === this.#lastId());
    const all = this.connections.flatMap(({ frames }) => frames).length;
    const named = Math.max(0, ...this.connections.map(({ lastEventId }) => positionOf(lastEventId)));
    if (!last || all <= count) return;
    const lost = last.frames.slice(last.frames.length - count).filter(({ id }) => positionOf(id) > named);
    if (lost.length === 0) return;
    last.frames.splice(last.frames.length - lost.length);
    last.swallowed = lost.at(-1)?.id;
  }

  #lastId(): string | undefined {
    const ids = this.connections.flatMap(({ lastId }) => lastId ?? []);
    return ids.sort((a, b) => positionOf(a) - positionOf(b)).at(-1);
  }

  /** A stream that the client turned away from has swallowed something, or still may: it comes again to its last id. */
  #hasToName(): boolean {
    const known = positionOf(this.#lastId());
    return this.connections.some(({ deaf, isOpen, node, swallowed }) => {
      return deaf && ((isOpen && node.state !== 'crashed') || positionOf(swallowed) > known);
    });
  }

  /** What the client has not read it would lose: it reads first. */
  cancel(): void {
    const { newest } = this;
    // A process that stands still or is gone does not notice: its connection stays half-open.
    if (newest?.node.state === 'up' && !newest.isPaused) newest.cancel();
  }

  /** Checks everything this client ever received. */
  check(): void {
    const { world } = this.#life;
    for (const life of this.#lives()) {
      const expected = world
        .addressedTo(this.session)
        .filter(({ position }) => position > life.floor && position < life.end)
        .map(({ position }) => position);
      let next = 0;
      let repeatFrom: number | undefined;
      for (const connection of life.connections) {
        const allowed = this.#mayRepeatAbove(connection, life.floor);
        if (allowed !== undefined) {
          const index = expected.findIndex((position) => position > allowed);
          repeatFrom = Math.min(repeatFrom ?? next, index < 0 ? next : index);
        }
        // Within a stream nothing is missing and nothing comes twice; it begins where the ones before it ended.
        let within: number | undefined;
        for (const frame of connection.frames) {
          if (messageNumber(frame) === undefined && this.#mayBeTold(connection)) continue;
          const index = expected.indexOf(this.#positionOf(frame));
          const isNext = within === undefined ? index <= next && index >= (repeatFrom ?? next) : index === within;
          if (!isNext) {
            throw new Error(
              `${this.session}: frame ${frame.id} (${frame.data}) over ${connection.node.name}, expected ` +
                `${expected[within ?? next]}, ${repeatFrom === undefined ? 'no repeat' : `repeats from ${expected[repeatFrom]}`}; ` +
                `received ${life.connections.map(({ frames }) => frames.map(({ id }) => id?.split('.')[1])).join(' | ')} ` +
                `of ${expected.map((position) => position.toString(36))}`,
            );
          }
          within = index + 1;
          next = Math.max(next, within);
          repeatFrom = undefined;
        }
        // One that was superseded while it went over what had come before leaves the rest of that to its successor.
        if (within !== undefined && within < next) repeatFrom = within;
      }
      const isOver = life.end !== Number.POSITIVE_INFINITY;
      if (!isOver && next !== expected.length) {
        throw new Error(`${this.session}: received up to ${expected[next - 1]} of ${expected.join(' ')}`);
      }
    }
    this.#checkStates();
  }

  /** No stream is left open that is not the newest. */
  #checkStates(): void {
    const claimed = this.#inOrder();
    for (const connection of this.connections) {
      if (connection === claimed.at(-1) || connection.node.state === 'crashed') continue;
      if (connection.isOpen) throw new Error(`${this.session}: an older stream is open on ${connection.node.name}`);
    }
  }

  /** The connections whose claims are in the log, in its order. */
  #inOrder(): Connection[] {
    return this.connections
      .filter(({ claim }) => this.#claimOf(claim))
      .sort((a, b) => (this.#claimOf(a.claim)?.position ?? 0) - (this.#claimOf(b.claim)?.position ?? 0));
  }

  #claimOf(claim: string): HistoryEntry | undefined {
    return this.#life.world.history.find(({ item }) => 'k' in item && item.k === 'c' && item.c === claim);
  }

  /** From a first claim to the end of the session. */
  #lives(): { floor: number; end: number; connections: Connection[] }[] {
    const { history } = this.#life.world;
    const lives: { floor: number; end: number; connections: Connection[] }[] = [];
    let isOver = true;
    for (const { item, position } of history) {
      if (!('k' in item) || item.s !== this.session) continue;
      if (item.k === 'c' && isOver) {
        lives.push({ floor: position, end: Number.POSITIVE_INFINITY, connections: [] });
        isOver = false;
      } else if (item.k === 'e') {
        const life = lives.at(-1);
        if (life && !isOver) life.end = position;
        isOver = true;
      }
    }
    for (const connection of this.#inOrder()) {
      const at = this.#claimOf(connection.claim)?.position ?? 0;
      lives.find(({ floor, end }) => at >= floor && at < end)?.connections.push(connection);
    }
    return lives;
  }

  /**
   * Promise 1: without an id, after its process crashed, stood still for too long or lost its listening connection,
   * the client may see again what lay after the last cursor that process wrote.
   */
  #mayRepeatAbove(connection: Connection, floor: number): number | undefined {
    const { world } = this.#life;
    const previous = this.#life.answers.get(connection.claim)?.previous;
    const claim = this.#claimOf(connection.claim);
    // It is served from the event it named, even where a request that was sent later came first; and so is the next
    // stream when that one ended before it began.
    if (connection.lastEventId !== undefined) return positionOf(connection.lastEventId);
    if (!previous || previous.detach !== undefined || !claim) return undefined;
    // Once the log says where the previous stream ended, the state of its process is of no interest.
    const release = world.history.find(({ item }) => 'k' in item && item.k === 'r' && item.c === previous.claim);
    // One that is closed before it has begun can only give back where it would have begun at the earliest.
    const isClosedBefore = connection.node.state === 'closed' && connection.frames.length === 0;
    if (!isClosedBefore && !this.#life.wasJudged(previous.node, claim.time, release?.time)) return undefined;
    const later = world.backplanes.get(previous.node)?.written.filter(({ time }) => time >= claim.time) ?? [];
    const cursor = Math.min(previous.cursor ?? floor, ...later.map((written) => written.cursor));
    return cursor >= previous.at ? cursor : Math.min(cursor, previous.from ?? floor);
  }

  /** A new session whose client names an event is told to list again; by its next stream, where it has not read that. */
  #mayBeTold({ lastEventId, claim }: Connection): boolean {
    const previous = this.#life.answers.get(claim)?.previous;
    if (previous === undefined) return lastEventId !== undefined;
    const before = this.connections.find((connection) => connection.claim === previous.claim);
    const isTold = before?.frames.filter((frame) => messageNumber(frame) === undefined).length === HINTS.length;
    return before !== undefined && !isTold && this.#mayBeTold(before);
  }

  #positionOf({ id, data }: Frame): number {
    const [epoch = ''] = id?.split('.') ?? [];
    const position = parseEventId(id ?? '', epoch);
    const stored = this.#life.world.history.find((entry) => entry.position === position);
    if (position === undefined || !stored?.text?.startsWith(`data: ${data}`)) {
      throw new Error(`${this.session}: frame ${id} (${data}) is not what was stored there (${stored?.text})`);
    }
    return position;
  }
}
