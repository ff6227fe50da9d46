import {
  type BackplaneLimits,
  type BackplaneListener,
  BackplaneStreamSessionManager,
  type Batch,
  DeliveryNode,
  type DeliverySettings,
  deliveryRules,
  InProcessBackplane,
  InProcessHub,
  type PartDraft,
} from '@tmcp/session-manager';
import type { Benchmark, Context, Report } from '../benchmark.ts';
import { openStream, readAll } from '../client-stream.ts';
import { makeFrame } from '../frame.ts';
import { type Figures, interleave } from '../measure/rounds.ts';
import { figure } from '../report/format.ts';

const SESSIONS = 64;
const MESSAGES = 64_000;
const REQUIRED_SHARE = 1 / 5;

export const readAmplification: Benchmark = {
  title: 'Engine: a message that concerns nobody here',
  needs: [],

  async run(context: Context): Promise<Report> {
    const drafts = await writeParts(context.size(MESSAGES));
    const messages = drafts.reduce((sum, { count }) => sum + count, 0);
    const bystander = await Reader.open(0);
    const holder = await Reader.open(SESSIONS);
    const rounds = await interleave(context.rounds, {
      bystander: async () => bystander.read(drafts, 0),
      holder: async () => holder.read(drafts, messages),
    });
    await Promise.all([bystander.close(), holder.close()]);
    const share = rounds.ratio('micros', 'bystander', 'holder');
    return {
      method:
        `${figure(messages)} messages to ${SESSIONS} sessions, as a sending node wrote them (parts of at most 7,800 ` +
        'bytes), are handed to two nodes in this process by a backplane that does nothing else.',
      tables: [
        {
          head: ['node', 'engine work per message'],
          rows: [
            ['holds all receivers: decode, frame, enqueue', figure(rounds.median('holder', 'micros'), 'µs')],
            ['holds none: decode, skip', figure(rounds.median('bystander', 'micros'), 'µs')],
          ],
        },
      ],
      targets: [
        {
          what: 'decode and skip, to decode, frame and enqueue',
          required: `≤ 1/${1 / REQUIRED_SHARE}`,
          measured: `1/${figure(1 / share)}`,
          reached: share <= REQUIRED_SHARE,
        },
      ],
    };
  },
};

/** The limits of PostgreSQL: parts as they travel there. */
const LIMITS: BackplaneLimits = { partBytes: 7_800, batchBytes: 65_536, keepsLog: true };

/** Beats never, so that nothing contradicts what it is fed. */
const SETTINGS: DeliverySettings = {
  ...(Object.fromEntries(
    Object.entries(deliveryRules).map(([name, { fallback }]) => [name, fallback]),
  ) as DeliverySettings),
  heartbeatMs: 1_000_000,
  sessionTimeoutMs: 10_000_000,
  keepAliveMs: 0,
};

/** What a node writes when 64 senders send at once. */
async function writeParts(messages: number): Promise<readonly PartDraft[]> {
  const written: PartDraft[] = [];
  class Recorder extends InProcessBackplane {
    override readonly limits = LIMITS;
    override append(batch: Batch): ReturnType<InProcessBackplane['append']> {
      written.push(...batch.parts);
      return super.append(batch);
    }
  }
  const manager = new BackplaneStreamSessionManager(new DeliveryNode(new Recorder(), SETTINGS));
  for (let sent = 0; sent < messages; sent += SESSIONS) {
    const batch = Array.from({ length: SESSIONS }, (_, i) => manager.publish([`session-${i}`], makeFrame(sent + i)));
    await Promise.all(batch);
  }
  await manager.close();
  return written;
}

/** A node that is fed by hand. */
class Reader {
  static async open(streams: number): Promise<Reader> {
    const backplane = new Feed({ hub: new InProcessHub() });
    const manager = new BackplaneStreamSessionManager(new DeliveryNode(backplane, SETTINGS));
    await manager.health();
    for (let i = 0; i < streams; i += 1) {
      const { controller, stream } = openStream();
      await manager.create(`session-${i}`, controller);
      void readAll(stream, () => undefined);
    }
    await untilRead(); // they turn live in a later macrotask
    await backplane.takeOver();
    return new Reader(backplane, manager);
  }

  readonly #backplane: Feed;
  readonly #manager: BackplaneStreamSessionManager;

  private constructor(backplane: Feed, manager: BackplaneStreamSessionManager) {
    this.#backplane = backplane;
    this.#manager = manager;
  }

  /** @throws when not every frame was delivered */
  async read(drafts: readonly PartDraft[], frames: number): Promise<Figures> {
    const { delivered } = this.#manager.stats();
    let ms = 0;
    let messages = 0;
    for (const draft of drafts) {
      const at = performance.now();
      this.#backplane.feed(draft);
      ms += performance.now() - at;
      messages += draft.count;
      await untilRead();
    }
    const count = this.#manager.stats().delivered - delivered;
    if (count !== frames) throw new Error(`delivered ${count} of ${frames}`);
    return { micros: (ms * 1_000) / messages };
  }

  close(): Promise<void> {
    return this.#manager.close();
  }
}

/** Lets the readers of the streams run: what they do is not the engine's work. */
function untilRead(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** A backplane whose parts are handed over from outside. */
class Feed extends InProcessBackplane {
  #listener: BackplaneListener | undefined;
  #epoch = '';
  #last = 0;

  override async open(node: string, listener: BackplaneListener): Promise<void> {
    this.#listener = listener;
    await super.open(node, listener);
  }

  /** From here on nothing else may be appended. */
  async takeOver(): Promise<void> {
    const { epoch, parts } = await this.read(0);
    this.#epoch = epoch;
    this.#last = parts.at(-1)?.last ?? 0;
  }

  feed({ count, head, data }: PartDraft): void {
    this.#last += count;
    const part = { epoch: this.#epoch, last: this.#last, count, token: `feed:${this.#last}`, head, data };
    this.#listener?.parts([part]);
  }
}
