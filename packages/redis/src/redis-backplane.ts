import { randomBytes } from 'node:crypto';
import {
  type AppendAnswer,
  type Backplane,
  type BackplaneLimits,
  type BackplaneListener,
  type Batch,
  type Beat,
  type BeatAnswer,
  type Liveness,
  type LogPage,
  type MaintenanceAnswer,
  type MaintenanceRequest,
  type SearchPage,
  SessionError,
} from '@tmcp/session-manager';
import { appendValues, decodeAppendAnswer } from './append-call.ts';
import { type LogKeys, logKeys } from './keys.ts';
import { LogListener } from './log-listener.ts';
import { decodeEntries, partsOf } from './parts.ts';
import type { RedisConnection } from './redis-connection.ts';
import { append } from './scripts/append.ts';
import { maintain } from './scripts/maintain.ts';
import { beat, inspect, locate, position, renewEpoch } from './scripts/namespace.ts';
import { getLarge, putLarge, read } from './scripts/reading.ts';
import { checkSettings } from './settings-check.ts';

export type RedisBackplaneOptions = {
  /** Logs, claims and beats of different namespaces never meet. */
  readonly namespace: string;
  /** A node whose beat is older is dead. */
  readonly sessionTimeoutMs: number;
};

/** A beat is due every few seconds: one that takes longer says that the connection is half-open. */
const BEAT_TIMEOUT_MS = 2_000;

/** Deadline of a call that carries a large payload, in call deadlines. */
const LARGE_PATIENCE = 4;

/** Pages of about 1 MiB that one search may read in vain. */
const MOST_PAGES = 16;

/**
 * One namespace on Redis. A stream is the log, and nothing travels beside it: each node reads it with a command that
 * waits for the next part. Whatever has to happen together is one script; its keys share a hash tag, so it is the same
 * in a Cluster.
 *
 * Redis confirms a write before a replica, or its own disk, has it. Whenever the log is found on a server that was
 * started, or promoted, since the last look, its end may be missing, and it gets a new epoch; unless replicas confirmed
 * each append (option `wait`).
 */
export class RedisBackplane implements Backplane {
  // A larger batch would keep the server busy for longer than others should wait.
  readonly limits: BackplaneLimits = { partBytes: 256 * 1024, batchBytes: 256 * 1024, keepsLog: true };
  readonly #connection: RedisConnection;
  readonly #keys: LogKeys;
  readonly #sessionTimeoutMs: number;
  readonly #release: () => Promise<void>;
  #listener: LogListener | undefined;
  #warnings: readonly SessionError[] = [];
  #closed: Promise<void> | undefined;

  constructor(connection: RedisConnection, { namespace, sessionTimeoutMs }: RedisBackplaneOptions) {
    this.#connection = connection;
    this.#keys = logKeys(connection.keyPrefix, namespace);
    this.#sessionTimeoutMs = sessionTimeoutMs;
    this.#release = connection.retain();
  }

  get warnings(): readonly SessionError[] {
    return this.#warnings;
  }

  async open(node: string, listener: BackplaneListener): Promise<void> {
    this.#assertOpen();
    this.#listener ??= new LogListener(this.#connection, this.#keys.log, this.#channelOf(node), {
      position: () => this.#position(),
      heard: (parts) => listener.parts(parts),
      up: () => listener.connected(),
      down: (cause) => listener.disconnected(cause),
    });
    await this.#checkSettings(listener);
    await this.#listener.start();
  }

  async beat({ node, cursor, check }: Beat): Promise<BeatAnswer> {
    const isUp = this.#listener?.isUp ? '1' : '0';
    const timeoutMs = Math.min(BEAT_TIMEOUT_MS, this.#connection.callTimeoutMs);
    const values = [randomEpoch(), this.#waits, node, cursor ?? '', check ?? '', isUp, this.#channelOf(node)];
    const heardBefore = this.#listener?.position ?? 0;
    const life = this.#listener?.life ?? 0;
    const answer = await this.#run(beat, this.#lifeKeys(), values, timeoutMs);
    const [epoch, head, trimmed, token, unknown, time, subscribers] = answer as [
      string,
      string,
      string,
      string | null,
      string,
      string,
      number | string,
    ];
    if (Number(head) < heardBefore) this.#listener?.restart(Number(head));
    else this.#listener?.looked(life, Number(subscribers) > 0);
    return {
      epoch,
      head: Number(head),
      trimmed: Number(trimmed),
      token: token ?? undefined,
      unknown: unknown === '1',
      time: Number(time),
    };
  }

  async append(batch: Batch): Promise<AppendAnswer> {
    const { head, log, producers, answers, claims, nodes, marks } = this.#keys;
    const keys = [head, log, producers, answers, claims, nodes, marks];
    this.#assertOpen();
    const isConfirmed = this.#connection.wait !== undefined;
    const answer = decodeAppendAnswer(
      await this.#connection.runConfirmed(append, keys, appendValues(batch, isConfirmed)),
    );
    // Where replicas confirm, a fail-over is no new epoch: then only what was read shows what the log really holds.
    if (answer.state === 'stored' && !isConfirmed) this.#listener?.wrote(partsOf(batch, answer.last));
    return answer;
  }

  async read(after: number): Promise<LogPage> {
    const { head, log } = this.#keys;
    const answer = await this.#run(read, [head, log], [after]);
    const [epoch, trimmed, entries] = answer as [string, string, unknown];
    return { epoch, trimmed: Number(trimmed), parts: decodeEntries(entries) };
  }

  /** Filtered here: a script that searches keeps the server from all others for longer than sending takes. */
  async search(session: string, after: number, upTo: number): Promise<SearchPage> {
    const needle = JSON.stringify(session);
    for (let [from, pages] = [after, 1]; ; pages += 1) {
      const { epoch, trimmed, parts } = await this.read(from);
      const last = parts.at(-1)?.last;
      const complete = last === undefined || last >= upTo;
      const fitting = parts.filter(
        (part) => part.last - part.count < upTo && (part.head.includes(needle) || part.head.includes('[0,')),
      );
      if (complete || fitting.length > 0) return { epoch, trimmed, parts: fitting, complete };
      // Others have to get their turn, and the caller its answer: the last part says how far this one has got.
      if (pages === MOST_PAGES) return { epoch, trimmed, parts: parts.slice(-1), complete };
      from = last;
    }
  }

  async locate(session: string, heardWithinMs = 0): Promise<Liveness | undefined> {
    const { head, claims, nodes, live } = this.#keys;
    const values = [session, this.#connection.named(live), this.#sessionTimeoutMs, heardWithinMs];
    const liveness = await this.#run(locate, [head, claims, nodes], values);
    return (liveness as Liveness | null) ?? undefined;
  }

  async inspect(node: string, heardWithinMs = 0): Promise<{ liveness: Liveness; cursor: number | undefined }> {
    const values = [node, this.#channelOf(node), this.#sessionTimeoutMs, heardWithinMs];
    const answer = await this.#run(inspect, [this.#keys.nodes], values);
    const [liveness, cursor] = answer as [Liveness, string | null];
    return { liveness, cursor: cursor === null ? undefined : Number(cursor) };
  }

  async putLarge(id: string, payload: string): Promise<void> {
    const { large, largeTimes } = this.#keys;
    await this.#run(putLarge, [large, largeTimes], [id, payload, Buffer.byteLength(payload)], this.#patienceMs);
  }

  async getLarge(id: string): Promise<string | undefined> {
    const payload = await this.#run(getLarge, [this.#keys.large], [id]);
    return (payload as string | null) ?? undefined;
  }

  async maintain(request: MaintenanceRequest): Promise<MaintenanceAnswer> {
    const { head, log, producers, answers, claims, nodes, times, large, largeTimes } = this.#keys;
    const { asOf, sessionTimeoutMs, forgetReleasedMs, keepMs, maxLogBytes, producerIdleMs, remove } = request;
    const answer = await this.#run(
      maintain,
      [head, log, producers, answers, claims, nodes, times, large, largeTimes],
      [
        sessionTimeoutMs,
        forgetReleasedMs,
        keepMs,
        maxLogBytes,
        producerIdleMs,
        asOf,
        ...remove.flatMap(({ node, beat: since }) => [node, since]),
      ],
    );
    const [silent, overtaken] = answer as [[string, string][], number | string];
    return { silent: silent.map(([node, since]) => ({ node, beat: since })), overtaken: Number(overtaken) };
  }

  async renewEpoch(epoch: string): Promise<void> {
    await this.#run(renewEpoch, [this.#keys.head], [epoch, randomEpoch()]);
  }

  /** What it held counts as released where its streams had to start, see `scripts/common.ts`. */
  async leave(node: string): Promise<void> {
    this.#assertOpen();
    await this.#connection.call('HDEL', this.#keys.nodes, node);
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    await this.#listener?.close();
    await this.#release();
  }

  async #checkSettings(listener: BackplaneListener): Promise<void> {
    const known = this.#warnings.map(({ message }) => message);
    this.#warnings = await checkSettings(this.#connection, this.#keys.head);
    for (const warning of this.#warnings) if (!known.includes(warning.message)) listener.report(warning);
  }

  async #position(): Promise<number> {
    const [, head] = (await this.#run(position, this.#lifeKeys(), [randomEpoch(), this.#waits])) as [string, string];
    return Number(head);
  }

  get #waits(): '1' | '0' {
    return this.#connection.wait === undefined ? '0' : '1';
  }

  /** The head, what belongs to one life of the log, and the claims. */
  #lifeKeys(): string[] {
    const { head, nodes, log, producers, answers, marks, times, large, largeTimes, claims } = this.#keys;
    return [head, nodes, log, producers, answers, marks, times, large, largeTimes, claims];
  }

  #channelOf(node: string): string {
    return this.#connection.named(this.#keys.live + node);
  }

  get #patienceMs(): number {
    return LARGE_PATIENCE * this.#connection.callTimeoutMs;
  }

  #run(...call: Parameters<RedisConnection['run']>): Promise<unknown> {
    this.#assertOpen();
    return this.#connection.run(...call);
  }

  #assertOpen(): void {
    if (this.#closed) throw new SessionError('closed', 'this session manager was closed');
  }
}

function randomEpoch(): string {
  return randomBytes(8).toString('hex');
}
