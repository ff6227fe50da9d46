import { appendFile, readFile } from 'node:fs/promises';

/** What the notebook holds. */
export type Notes = {
  readonly notes: readonly string[];
  /** Whether the prompt that reviews the notes is offered. */
  readonly review: boolean;
};

type Line = { readonly note: string } | { readonly review: boolean };

/**
 * The data of this application, which all its processes share: a file to which each change is appended as one line.
 * It stands in for the database of a real application, which has nothing to do with the one that keeps the sessions.
 */
export class Notebook {
  readonly #file: string;

  /** @param file path; the file is created by the first change */
  constructor(file: string) {
    this.#file = file;
  }

  /** @returns the number of the note, from 1 */
  async add(note: string): Promise<number> {
    await this.#append({ note });
    return (await this.read()).notes.length;
  }

  async offerReview(review: boolean): Promise<void> {
    await this.#append({ review });
  }

  async read(): Promise<Notes> {
    const notes: string[] = [];
    let review = false;
    for (const line of await this.#lines()) {
      if ('note' in line) notes.push(line.note);
      else review = line.review;
    }
    return { notes, review };
  }

  async #append(line: Line): Promise<void> {
    await appendFile(this.#file, `${JSON.stringify(line)}\n`);
  }

  async #lines(): Promise<Line[]> {
    try {
      const text = await readFile(this.#file, 'utf8');
      // What stands behind the last line feed is being written by another process.
      return text
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line) as Line);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw error;
    }
  }
}
