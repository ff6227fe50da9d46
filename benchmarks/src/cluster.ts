import type { PostgresServer } from 'test-support';
import { Child } from './child.ts';
import type { ContenderName } from './contenders/index.ts';
import type { Figures } from './measure/rounds.ts';
import type { ReceiverRound } from './programs/receiver.ts';
import type { SenderRound } from './programs/sender.ts';

export type Load =
  /** Each session's sender sends the next message when the last is acknowledged; at most `limit` each. */
  | { readonly kind: 'flood'; readonly durationMs: number; readonly limit?: number }
  /** So many messages per second in all. */
  | { readonly kind: 'pace'; readonly durationMs: number; readonly rate: number };

/**
 * One process that sends and several that read, all through one contender, on a database of its own: listeners of the
 * same database would be woken by the messages of others. The first reader holds all sessions, the others none.
 */
export class Cluster implements AsyncDisposable {
  static async start(
    server: PostgresServer,
    contender: ContenderName,
    { receivers, sessions }: { receivers: number; sessions: number },
  ): Promise<Cluster> {
    const url = await server.createDatabase();
    const ids = Array.from({ length: sessions }, (_, index) => `session-${index}`);
    const readers: Child[] = [];
    for (let i = 0; i < receivers; i += 1) readers.push(await Child.start('receiver.ts', [contender, url]));
    await readers[0]?.call('hold', ids);
    return new Cluster(await Child.start('sender.ts', [contender, url]), readers, ids);
  }

  readonly sender: Child;
  readonly readers: readonly Child[];
  readonly sessions: readonly string[];

  private constructor(sender: Child, readers: readonly Child[], sessions: readonly string[]) {
    this.sender = sender;
    this.readers = readers;
    this.sessions = sessions;
  }

  /**
   * Sends a load and waits until every reader has got past it.
   *
   * @throws when a message was lost, came twice or out of order
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
    if (holder.received !== sent || holder.disordered > 0) {
      throw new Error(`sent ${sent}, received ${holder.received}, ${holder.disordered} out of order`);
    }
    const bystanders = others.reduce((sum, { cpuMs }) => sum + cpuMs, 0) / others.length;
    return {
      ...acks,
      sent,
      // From the first send until the last frame was read.
      perSecond: (sent * 1_000) / (holder.readAt - startedAt),
      holderMicros: (holder.cpuMs * 1_000) / sent,
      bystanderMicros: (bystanders * 1_000) / sent,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.sender, ...this.readers].map((child) => child[Symbol.asyncDispose]()));
  }
}
