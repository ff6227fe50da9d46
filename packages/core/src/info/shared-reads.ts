import type { InfoField, InfoRow } from './info-store.ts';

/**
 * - `collecting`: the store has not been asked yet; whoever comes now may share the answer
 * - `asked`: the answer may be older than a call that comes now, so nobody joins
 * - `arrived`: it is handed on until this turn of the event loop ends
 */
type SharedRead = {
  state: 'collecting' | 'asked' | 'arrived';
  readonly row: Promise<InfoRow>;
  /** How often each field was taken. */
  readonly taken: Record<InfoField, number>;
  /** How often each field may be taken: once per reader, of which there are as many as took the same field first. */
  readers: number;
};

const FIELDS = ['clientInfo', 'clientCapabilities', 'logLevel'] as const satisfies readonly InfoField[];

/**
 * Lets the three getters of one POST share one round trip. The transports call them one after the other and await
 * each, so the second is not called before the first has its answer. But it follows at once: between the arrival of a
 * row and the call of the next getter lie only microtasks, no timer and no input. So a row is handed on within
 * the turn of the event loop in which it arrived, each field once, and not a moment longer: nothing that another
 * process has answered since can be missed. A write of this process ends the handing on as well.
 *
 * Getters that are called at the same time share a read too. A failed read is shared like any other: a POST waits for
 * one deadline, not for three.
 */
export class SharedReads {
  readonly #read: (id: string) => Promise<InfoRow>;
  readonly #reads = new Map<string, SharedRead[]>();

  constructor(read: (id: string) => Promise<InfoRow>) {
    this.#read = read;
  }

  /** The row of a session, for one field of it. */
  take(id: string, field: InfoField): Promise<InfoRow> {
    const read = this.#reads.get(id)?.find((candidate) => isOpen(candidate, field)) ?? this.#start(id);
    read.taken[field] += 1;
    return read.row;
  }

  /** What is called from now on must see what is written now. */
  forget(id: string): void {
    this.#reads.delete(id);
  }

  #start(id: string): SharedRead {
    const row = Promise.resolve().then(() => {
      read.state = 'asked';
      read.readers = Math.max(...Object.values(read.taken));
      return this.#read(id);
    });
    const read: SharedRead = {
      state: 'collecting',
      row,
      taken: { clientInfo: 0, clientCapabilities: 0, logLevel: 0 },
      readers: 1,
    };
    const arrived = (): void => {
      read.state = 'arrived';
      this.#replaceOlder(id);
      void withinThisTurn(() => this.#end(id, read));
    };
    row.then(arrived, arrived);
    this.#reads.set(id, [...(this.#reads.get(id) ?? []), read]);
    return read;
  }

  /** Of rows that arrive in one turn the one that was asked for last is for all: who has asked for it must not get an older one. */
  #replaceOlder(id: string): void {
    const reads = this.#reads.get(id) ?? [];
    const older = reads.filter(({ state }) => state === 'arrived');
    const newest = older.pop();
    if (newest === undefined || older.length === 0) return;
    for (const { taken, readers } of older) {
      newest.readers += readers;
      for (const field of FIELDS) newest.taken[field] += taken[field];
    }
    this.#reads.set(
      id,
      reads.filter((read) => !older.includes(read)),
    );
  }

  #end(id: string, read: SharedRead): void {
    const rest = this.#reads.get(id)?.filter((other) => other !== read) ?? [];
    if (rest.length > 0) this.#reads.set(id, rest);
    else this.#reads.delete(id);
  }
}

function isOpen(read: SharedRead, field: InfoField): boolean {
  return read.state === 'collecting' || (read.state === 'arrived' && read.taken[field] < read.readers);
}

/** More microtasks than lie between a row and the next getter of a POST, and few enough to cost nothing. */
const MICROTASKS = 100;

/**
 * Before the next input is looked at: microtasks all run first. Timers, and what some runtimes call `setImmediate`, may
 * let an answer pass that is there already.
 */
async function withinThisTurn(run: () => void): Promise<void> {
  for (let i = 0; i < MICROTASKS; i += 1) await undefined;
  run();
}
