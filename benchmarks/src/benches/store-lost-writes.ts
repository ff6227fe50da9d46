import type { Benchmark, Context, Report, Table } from '../benchmark.ts';
import { Child } from '../child.ts';
import { figure } from '../report/format.ts';
import { type StoreName, storesOf, storeTitles } from '../session-stores/index.ts';
import type { SampleSession } from '../session-stores/measured-store.ts';
import { kindTitles, openStorePlace, type StoreKind, type StorePlace, storeKinds } from '../session-stores/place.ts';

/** Encryption changes nothing about who wins. */
const NAMES: readonly StoreName[] = ['ours', 'published'];
/** In each of two processes. */
const WRITES = 32;
/** Additions of one loop; as many loops as it takes count in one session at the same time. */
const EACH = 8;

export const storeLostWrites: Benchmark = {
  title: 'Session store: acknowledged writes that are lost',
  group: 'session-store',
  needs: ['postgres', 'redis'],

  async run(context: Context): Promise<Report> {
    const rows: string[][] = [];
    const lostByOurs: number[] = [];
    let changedByRedis = '';
    for (const kind of storeKinds) {
      for (const name of storesOf(kind).filter((each) => NAMES.includes(each))) {
        const losses = await countLosses(context, kind, name);
        rows.push([
          `${kindTitles[kind]}: ${storeTitles[name]}`,
          describe(losses.alone),
          describe(losses.apart),
          describe(losses.together),
        ]);
        if (name !== 'published') lostByOurs.push(lost(losses.alone), lost(losses.apart), lost(losses.together));
        else if (kind === 'redis') changedByRedis = losses.contacts;
      }
    }
    const lostInAll = lostByOurs.reduce((sum, count) => sum + count, 0);
    const table: Table = {
      head: ['', 'updates by one process', 'updates by two processes', 'additions'],
      rows,
    };
    return {
      method:
        `${2 * WRITES} writes. Updates: each of another session, all at once, by one process or by two. Additions: two ` +
        `processes of ${WRITES / EACH} loops each read a session, add one to a number in it and write it back, with ours ` +
        'under the version that was read and again after a conflict. (Memory has one process.) What is left is read by ' +
        'a process that comes later; only writes that were acknowledged count.',
      tables: [table],
      targets: [
        {
          what: 'acknowledged writes that ours loses',
          required: '0',
          measured: figure(lostInAll),
          reached: lostInAll === 0,
        },
      ],
      notes: [
        'The published store has neither versions nor locks: who reads, changes and writes back cannot tell that another was first.',
        'The published file store writes the whole file for each update without waiting for the write before: what stays ' +
          'may be an older state, or a mixture that is no JSON, which differs from run to run; and each process writes what it read at its start, which undoes what others did.',
        `The published Redis store merges in Lua: after an update of other fields an empty list, \`[]\`, came back as \`${changedByRedis}\`.`,
      ],
    };
  },
};

type Kept = {
  readonly acknowledged: number;
  /** `undefined` when what is there cannot be read at all. */
  readonly found: number | undefined;
};
type Losses = {
  readonly alone: Kept;
  readonly apart: Kept;
  readonly together: Kept;
  /** What became of an empty list, as JSON. */
  readonly contacts: string;
};

async function countLosses(context: Context, kind: StoreKind, name: StoreName): Promise<Losses> {
  const open = (): Promise<Writers> => Writers.open(context, kind, name);
  await using forOne = await open();
  await using forTwo = await open();
  const alone = await forOne.write(1, (child) => child.call('change', { first: 0, count: 2 * WRITES }));
  const oneFound = await forOne.read<number>((child) => child.call('changed', 2 * WRITES));
  const apart = await forTwo.write(2, (child, i, share) => child.call('change', { first: i * share, count: share }));
  const twoFound = await forTwo.read<number>((child) => child.call('changed', 2 * WRITES));
  const session = await forTwo.read<SampleSession | null>((child) => child.call('read', 0));

  await using forCounting = await open();
  const together = await forCounting.write(2, (child, _, share) =>
    child.call('increment', { loops: share / EACH, each: EACH }),
  );
  const counted = await forCounting.read<number>((child) => child.call('counted'));
  return {
    alone: { acknowledged: alone, found: oneFound },
    apart: { acknowledged: apart, found: twoFound },
    together: { acknowledged: together, found: counted },
    contacts: JSON.stringify(session?.clientInformation.contacts),
  };
}

/** Processes that write to one store. */
class Writers implements AsyncDisposable {
  static async open(context: Context, kind: StoreKind, name: StoreName): Promise<Writers> {
    const writers = new Writers(kind, name, await openStorePlace(context, kind));
    await writers.#start();
    await writers.#children[0]?.call('fill', 2 * WRITES);
    return writers;
  }

  readonly #kind: StoreKind;
  readonly #name: StoreName;
  readonly #place: StorePlace;
  readonly #children: Child[] = [];

  private constructor(kind: StoreKind, name: StoreName, place: StorePlace) {
    this.#kind = kind;
    this.#name = name;
    this.#place = place;
  }

  /** @returns how many writes were acknowledged */
  async write(
    processes: number,
    run: (child: Child, index: number, share: number) => Promise<number>,
  ): Promise<number> {
    while (this.#children.length < (this.#kind === 'memory' ? 1 : processes)) await this.#start();
    // All have read what there is before one writes.
    for (const child of this.#children) await child.call('read', 0);
    const share = (2 * WRITES) / this.#children.length;
    const counts = await Promise.all(this.#children.map((child, index) => run(child, index, share)));
    return counts.reduce((total, count) => total + count, 0);
  }

  /** In a process that has not written. @returns nothing when what is there cannot be read at all */
  async read<T>(ask: (child: Child) => Promise<T>): Promise<T | undefined> {
    const writer = this.#children[0];
    if (this.#kind === 'memory' && writer) return ask(writer);
    await using reader = await Child.start('session-store.ts', [this.#kind, this.#name, this.#place.url]);
    return await ask(reader).catch(() => undefined);
  }

  async #start(): Promise<void> {
    this.#children.push(await Child.start('session-store.ts', [this.#kind, this.#name, this.#place.url]));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#children.map((child) => child[Symbol.asyncDispose]()));
    await this.#place[Symbol.asyncDispose]();
  }
}

function lost({ acknowledged, found }: Kept): number {
  return acknowledged - (found ?? 0);
}

function describe(kept: Kept): string {
  const unreadable = kept.found === undefined ? ': nothing can be read any more' : '';
  return `${figure(lost(kept))} of ${figure(kept.acknowledged)} lost${unreadable}`;
}
