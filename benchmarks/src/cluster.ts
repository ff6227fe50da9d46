import type { Backend, Place } from './backends/backend.ts';
import { Child } from './child.ts';
import { contender } from './contenders/index.ts';
import type { Figures } from './measure/rounds.ts';
import type { ReceiverRound } from './programs/receiver.ts';
import type { SenderRound } from './programs/sender.ts';

export type Load =
  /** Each session's sender sends the next message when the last is acknowledged; at most `limit` each. */
  | { readonly kind: 'flood'; readonly durationMs: number; readonly limit?: number }
  /** So many messages per second in all. */
  | { readonly kind: 'pace'; readonly durationMs: number; readonly rate: number };

/** Nothing in a benchmark hangs on whether these keep up. */
const MAY_LOSE: ReadonlySet<string> = new Set(['socket-io', 'socket-io-streams']);

/**
 * One process that sends and several that read, all through one contender, in a place of its own. The first reader
 * holds all sessions, the others none.
 */
export class Cluster implements AsyncDisposable {
  static async start(
    backend: Backend,
    name: string,
    { receivers, sessions }: { receivers: number; sessions: number },
  ): Promise<Cluster> {
    const place = await backend.createPlace(contender(backend.name, name).place);
    const args = [backend.name, name, place.url];
    const ids = Array.from({ length: sessions }, (_, index) => `session-${index}`);
    const readers: Child[] = [];
    for (let i = 0; i < receivers; i += 1) readers.push(await Child.start('receiver.ts', args));
    await readers[0]?.call('hold', ids);
    return new Cluster(name, place, await Child.start('sender.ts', args), readers, ids);
  }

  readonly #name: string;
  readonly #place: Place;
  readonly sender: Child;
  readonly readers: readonly Child[];
  readonly sessions: readonly string[];

  private constructor(
    name: string,
    place: Place,
    sender: Child,
    readers: readonly Child[],
    sessions: readonly string[],
  ) {
    this.#name = name;
    this.#place = place;
    this.sender = sender;
    this.readers = readers;
    this.sessions = sessions;
  }

  /**
   * Sends a load and waits until every reader has got past it.
   *
   * @throws when a message was lost, came twice or out of order; adapters of others may lose some
   */
  async round({ kind, durationMs, ...how }: Load): Promise<Figures> {
    const load = { limit: Number.MAX_SAFE_INTEGER, ...how, durationMs, sessions: this.sessions };
    await Promise.all(this.readers.map((reader) => reader.call('begin')));
    const { startedAt, sent, ...acks } = await this.sender.call<SenderRound>(kind, load);
    const [holder, ...others] = await Promise.all(
      this.readers.map((reader, index) =>
        reader.call<ReceiverRound>('finish', { mine: index === 0 ? sent : 0, all: sent }),
      ),
    );
    if (!holder) throw new Error('nobody reads');
    const lost = sent - holder.received;
    if (!MAY_LOSE.has(this.#name) && (lost !== 0 || holder.disordered > 0)) {
      throw new Error(`${this.#name}: sent ${sent}, received ${holder.received}, ${holder.disordered} out of order`);
    }
    const bystanders = others.reduce((sum, { cpuMs }) => sum + cpuMs, 0) / others.length;
    return {
      ...acks,
      sent,
      lost,
      // From the first send until the last frame was read.
      perSecond: (holder.received * 1_000) / (holder.readAt - startedAt),
      holderMicros: (holder.cpuMs * 1_000) / sent,
      bystanderMicros: (bystanders * 1_000) / sent,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.sender, ...this.readers].map((child) => child[Symbol.asyncDispose]()));
    await this.#place[Symbol.asyncDispose]();
  }
}
