import type {
  AppendAnswer,
  Backplane,
  BackplaneLimits,
  BackplaneListener,
  Batch,
  Beat,
  BeatAnswer,
  Liveness,
  LogPage,
  MaintenanceAnswer,
  MaintenanceRequest,
  Part,
  SearchPage,
} from '../src/delivery/backplane.ts';
import { SessionError } from '../src/errors.ts';
import type { InProcessBackplane } from '../src/in-memory/in-process-backplane.ts';
import type { InProcessLog } from '../src/in-memory/in-process-log.ts';
import type { VirtualTime } from './support/virtual-time.ts';

/** What may happen to one call. */
export type CallFault =
  /** It fails before it is executed. */
  | { readonly kind: 'refuse'; readonly code?: 'unavailable' | 'timeout' | 'refused' }
  /** It is executed, and its answer is lost. */
  | { readonly kind: 'swallow' }
  /** It is executed this much later. */
  | { readonly kind: 'late'; readonly ms: number }
  /** Its answer comes this much later. */
  | { readonly kind: 'slow'; readonly ms: number }
  /** The caller is told that it failed, and it is executed this much later. */
  | { readonly kind: 'ghost'; readonly ms: number };

/** What may happen to one push. */
export type PushFault =
  | { readonly kind: 'drop' }
  | { readonly kind: 'repeat' }
  | { readonly kind: 'reverse' }
  | { readonly kind: 'delay'; readonly ms: number }
  /** Only a wake-up comes, with or without the head. */
  | { readonly kind: 'wake'; readonly head: boolean };

export type CallName = Exclude<keyof Backplane, 'limits' | 'open' | 'leave' | 'close'>;

/** The backplanes of several processes on one log, and what is true about these processes. */
export type Network = {
  readonly time: VirtualTime;
  readonly log: InProcessLog;
  readonly backplanes: Map<string, FaultyBackplane>;
  /** Milliseconds that a call takes on each of its ways. */
  latencyMs(): number;
  /** Set when a node called without end while no time passed. */
  spinning: string | undefined;
  /** Who was judged not to be attached: node to moments. */
  readonly judged: Map<string, number[]>;
};

/** More calls than this in one millisecond are a loop that waits for nothing. */
const MAX_CALLS_AT_ONCE = 3_000;

/**
 * The in-process backplane behind a network and in a process, both of which fail on command: calls are refused, lost,
 * late or slow, pushes are dropped, repeated, reordered, delayed; the process is frozen, killed, or cut off.
 */
export class FaultyBackplane implements Backplane {
  readonly limits: BackplaneLimits;
  readonly #inner: InProcessBackplane;
  readonly #network: Network;
  readonly #owner: string;
  readonly #callFaults = new Map<CallName, CallFault[]>();
  readonly #pushFaults: PushFault[] = [];
  #held: (() => void)[] = [];
  #listener: BackplaneListener | undefined;
  #listening = true;
  #cutOff = false;
  #frozen = false;
  #crashed = false;
  #callsAt = { time: 0, count: 0 };
  /** Every cursor that was written. */
  readonly written: { readonly time: number; readonly cursor: number }[] = [];
  readonly calls: Map<CallName, number> = new Map();
  node = '';

  constructor(inner: InProcessBackplane, network: Network, owner: string, limits?: Partial<BackplaneLimits>) {
    this.#inner = inner;
    this.#network = network;
    this.#owner = owner;
    this.limits = { ...inner.limits, ...limits };
  }

  // --- what a test commands ----------------------------------------------------------------------------------------

  /** The next call of this name meets this fault. */
  failNext(call: CallName, fault: CallFault): void {
    const faults = this.#callFaults.get(call) ?? [];
    this.#callFaults.set(call, [...faults, fault]);
  }

  /** The next push meets this fault. */
  failNextPush(fault: PushFault): void {
    this.#pushFaults.push(fault);
  }

  /** Forgets the faults that have not happened. */
  heal(): void {
    this.#callFaults.clear();
    this.#pushFaults.splice(0);
    this.#cutOff = false;
    this.listen(true);
  }

  /** Every call fails, none is executed. */
  cutOff(off: boolean): void {
    this.#cutOff = off;
  }

  /** The listening connection goes down, or is up again. */
  listen(up: boolean): void {
    if (this.#listening === up || this.#crashed) return;
    this.#listening = up;
    const listener = this.#listener;
    if (!listener) return;
    this.#toProcess(() => {
      if (up) listener.connected();
      else listener.disconnected(new SessionError('unavailable', 'the listener was disconnected on purpose'));
    });
  }

  /** It is told that the log reaches this far, or further than it knows, whether that is so or not. */
  wake(head: number | undefined): void {
    this.#toProcess(() => this.#listener?.wake(head));
  }

  /** The process stands still: its timers do not run, and what comes for it waits outside. */
  freeze(): void {
    this.#frozen = true;
    this.#network.time.freeze(this.#owner);
  }

  /** It goes on. @param first whether what came for it runs before the timers that are due */
  async thaw(first: 'data' | 'timers'): Promise<void> {
    const { time } = this.#network;
    time.thaw(this.#owner);
    if (first === 'timers') await time.advance(0);
    this.#frozen = false;
    for (const deliver of this.#held.splice(0)) {
      deliver();
      await time.settle();
    }
  }

  /** The process is gone. What it sent is on its way. */
  crash(): void {
    this.#crashed = true;
    this.#network.time.kill(this.#owner);
  }

  get isFrozen(): boolean {
    return this.#frozen;
  }

  /** Whether others can see that its listening connection is gone. */
  get isSuspect(): boolean {
    return this.#crashed || !this.#listening;
  }

  // --- what the engine calls ---------------------------------------------------------------------------------------

  async open(node: string, listener: BackplaneListener): Promise<void> {
    this.node = node;
    this.#network.backplanes.set(node, this);
    this.#listener = listener;
    await this.#inner.open(node, {
      ...listener,
      parts: (parts) => this.#push(listener, parts),
    });
  }

  async beat(beat: Beat): Promise<BeatAnswer> {
    const { time } = this.#network;
    const answer = await this.#call('beat', () => {
      if (beat.cursor !== undefined) this.written.push({ time: time.now, cursor: beat.cursor });
      return this.#inner.beat(beat);
    });
    return answer;
  }

  append(batch: Batch): Promise<AppendAnswer> {
    return this.#call('append', () => this.#inner.append(batch));
  }

  read(after: number): Promise<LogPage> {
    return this.#call('read', () => this.#inner.read(after));
  }

  search(session: string, after: number, upTo: number): Promise<SearchPage> {
    return this.#call('search', () => this.#inner.search(session, after, upTo));
  }

  locate(session: string, heardWithinMs?: number): Promise<Liveness | undefined> {
    return this.#call('locate', async () => {
      const liveness = await this.#inner.locate(session);
      const node = this.#network.log.claims.get(session)?.node;
      return node === undefined ? liveness : this.#seen(node, liveness, heardWithinMs);
    });
  }

  inspect(node: string, heardWithinMs?: number): Promise<{ liveness: Liveness; cursor: number | undefined }> {
    return this.#call('inspect', async () => {
      const { liveness: known, cursor } = await this.#inner.inspect(node);
      const liveness = this.#seen(node, known, heardWithinMs);
      const { judged, time } = this.#network;
      if (liveness !== 'attached') judged.set(node, [...(judged.get(node) ?? []), time.now]);
      return { liveness, cursor };
    });
  }

  putLarge(id: string, payload: string): Promise<void> {
    return this.#call('putLarge', () => this.#inner.putLarge(id, payload));
  }

  getLarge(id: string): Promise<string | undefined> {
    return this.#call('getLarge', () => this.#inner.getLarge(id));
  }

  maintain(request: MaintenanceRequest): Promise<MaintenanceAnswer> {
    return this.#call('maintain', () => this.#inner.maintain(request));
  }

  renewEpoch(epoch: string): Promise<void> {
    return this.#call('renewEpoch', () => this.#inner.renewEpoch(epoch));
  }

  async leave(node: string): Promise<void> {
    if (this.#cutOff) throw unavailable();
    await this.#inner.leave(node);
  }

  close(): Promise<void> {
    return this.#inner.close();
  }

  // --- how it fails ------------------------------------------------------------------------------------------------

  #seen<T extends Liveness | undefined>(node: string, liveness: T, heardWithinMs = -1): T | 'suspect' {
    const { backplanes, log, time } = this.#network;
    const beatAt = log.nodes.get(node)?.beatAt ?? Number.NEGATIVE_INFINITY;
    const isHeard = time.now - beatAt <= heardWithinMs;
    return liveness === 'attached' && backplanes.get(node)?.isSuspect && !isHeard ? 'suspect' : liveness;
  }

  async #call<T>(name: CallName, execute: () => Promise<T>): Promise<T> {
    this.#count(name);
    const fault = this.#callFaults.get(name)?.shift();
    try {
      return await this.#run(execute, fault);
    } finally {
      await this.#gate();
    }
  }

  async #run<T>(execute: () => Promise<T>, fault: CallFault | undefined): Promise<T> {
    if (this.#cutOff) throw unavailable();
    const { time } = this.#network;
    const latency = this.#network.latencyMs();
    if (fault?.kind === 'refuse') throw new SessionError(fault.code ?? 'unavailable', 'refused on purpose');
    if (fault?.kind === 'ghost') {
      void time
        .sleep(fault.ms)
        .then(execute)
        .catch(() => undefined);
      throw new SessionError('timeout', 'given up on purpose');
    }
    const before = latency + (fault?.kind === 'late' ? fault.ms : 0);
    if (before > 0) await time.sleep(before);
    const answer = await execute();
    const after = latency + (fault?.kind === 'slow' ? fault.ms : 0);
    if (after > 0) await time.sleep(after);
    if (fault?.kind === 'swallow' || this.#cutOff) throw unavailable();
    return answer;
  }

  #count(name: CallName): void {
    this.calls.set(name, (this.calls.get(name) ?? 0) + 1);
    const { time } = this.#network;
    if (this.#callsAt.time !== time.now) this.#callsAt = { time: time.now, count: 0 };
    this.#callsAt.count += 1;
    if (this.#callsAt.count < MAX_CALLS_AT_ONCE) return;
    this.#network.spinning ??= `${name} was called ${MAX_CALLS_AT_ONCE} times while no time passed`;
    throw new SessionError('refused', 'called without end');
  }

  /** Passes when the process runs; never when it is gone. */
  #gate(): Promise<void> | undefined {
    if (this.#crashed) return new Promise(() => {});
    if (!this.#frozen) return undefined;
    return new Promise((resolve) => this.#held.push(resolve));
  }

  #toProcess(deliver: () => void): void {
    if (this.#crashed) return;
    if (this.#frozen) this.#held.push(() => this.#toProcess(deliver));
    else this.#network.time.as(this.#owner, deliver);
  }

  #push(listener: BackplaneListener, parts: readonly Part[]): void {
    if (!this.#listening) return;
    const { time } = this.#network;
    const fault = this.#pushFaults.shift();
    const deliver = (what: readonly Part[]): void => this.#toProcess(() => listener.parts(what));
    switch (fault?.kind) {
      case undefined:
        deliver(parts);
        break;
      case 'drop':
        break;
      case 'repeat':
        deliver(parts);
        deliver(parts);
        break;
      case 'reverse':
        deliver([...parts].reverse());
        break;
      case 'delay':
        void time.sleep(fault.ms).then(() => {
          if (this.#listening) deliver(parts);
        });
        break;
      case 'wake': {
        const head = parts.at(-1)?.last;
        this.#toProcess(() => listener.wake(fault.head ? head : undefined));
        break;
      }
    }
  }
}

function unavailable(): SessionError {
  return new SessionError('unavailable', 'the backend was cut off on purpose');
}
