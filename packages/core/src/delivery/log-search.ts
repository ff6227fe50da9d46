import type { Backplane, Part } from './backplane.ts';
import { sleep } from './clock.ts';
import { decodePart, type Entries } from './entries.ts';

/** What was found in the log: parts that may concern the session, in order. */
export type Found = {
  readonly epoch: string;
  /** Everything up to this position may have been trimmed. */
  readonly trimmed: number;
  readonly parts: readonly Entries[];
  /** Everything up to this position was seen, and what concerns the session is among the parts. */
  readonly reached: number;
};

type Request = {
  readonly session: string;
  readonly after: number;
  readonly upTo: number;
  readonly resolve: (found: Found) => void;
  readonly reject: (error: unknown) => void;
};

const MAX_SEARCHES = 4;

/**
 * When so many wait, reading the log once for all of them is cheaper than searching it for each: after a crash every
 * client comes back at once.
 */
const SHARED_FROM = 32;

/**
 * Searches the log for streams that replay. A few are searched for one by one, which lets the backend leave out what
 * concerns others; a crowd shares one pass that reads everything.
 */
export class LogSearch {
  readonly #backplane: Backplane;
  #queue: Request[] = [];
  #searching = 0;
  #isSharing = false;

  constructor(backplane: Backplane) {
    this.#backplane = backplane;
  }

  /** @param upTo nothing beyond this position is of interest */
  find(session: string, after: number, upTo: number): Promise<Found> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ session, after, upTo, resolve, reject });
      this.#next();
    });
  }

  #next(): void {
    if (this.#isSharing) return;
    if (this.#queue.length >= SHARED_FROM) {
      this.#isSharing = true;
      void this.#share();
      return;
    }
    while (this.#searching < MAX_SEARCHES) {
      const request = this.#queue.shift();
      if (!request) return;
      this.#searching += 1;
      void this.#search(request);
    }
  }

  async #search({ session, after, upTo, resolve, reject }: Request): Promise<void> {
    try {
      const { epoch, trimmed, parts, complete } = await this.#backplane.search(session, after, upTo);
      const reached = complete ? upTo : (parts.at(-1)?.last ?? after);
      resolve({ epoch, trimmed, parts: parts.flatMap(decodeOrSkip), reached });
    } catch (error) {
      reject(error);
    } finally {
      this.#searching -= 1;
      this.#next();
    }
  }

  /** Page by page from the lowest position that is waited for; who has got a page comes back for the next one. */
  async #share(): Promise<void> {
    while (this.#queue.length >= MAX_SEARCHES) {
      await this.#sharePage();
      // They come back after handing out what they got: not all in this turn.
      await sleep(0);
    }
    this.#isSharing = false;
    this.#next();
  }

  async #sharePage(): Promise<void> {
    const from = this.#queue.reduce((lowest, { after }) => Math.min(lowest, after), Number.POSITIVE_INFINITY);
    const covered = (last: number): Request[] => {
      const isCovered = ({ after }: Request): boolean => after >= from && after < last;
      const requests = this.#queue.filter(isCovered);
      this.#queue = this.#queue.filter((request) => !isCovered(request));
      return requests;
    };
    try {
      const { epoch, trimmed, parts } = await this.#backplane.read(from);
      const entries = parts.flatMap(decodeOrSkip);
      const end = parts.at(-1)?.last ?? Number.POSITIVE_INFINITY;
      for (const { after, upTo, resolve } of covered(end)) {
        const wanted = entries.filter(({ last }) => last > after && last <= upTo);
        resolve({ epoch, trimmed, parts: wanted, reached: Math.min(end, upTo) });
      }
    } catch (error) {
      for (const { reject } of covered(Number.POSITIVE_INFINITY)) reject(error);
    }
  }
}

/** One that cannot be read is skipped and was reported where the log is read. */
function decodeOrSkip(part: Part): Entries[] {
  try {
    return [decodePart(part)];
  } catch {
    return [];
  }
}
