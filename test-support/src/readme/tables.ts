import type { Markdown } from './markdown.ts';

/** Texts in backticks. */
export function quotedIn(cell: string | undefined): string[] {
  return [...(cell ?? '').matchAll(/`([^`]+)`/g)].map(([, text = '']) => text);
}

/** Texts in backticks in one column of the tables under a heading. */
export function quotedInColumn(markdown: Markdown, heading: string, column = 0): string[] {
  return markdown.rowsUnder(heading).flatMap((cells) => quotedIn(cells[column]));
}

export interface OptionRow {
  readonly name: string;
  /** As the table shows it, without the underscores and quotes of code; empty where it is described in words. */
  readonly fallback: string;
  /** Those that know it. */
  readonly owners: readonly string[];
}

/**
 * The table of options: name, default, meaning, and those that know the option.
 *
 * @param all what `all` stands for in the last column
 */
export function optionRows(markdown: Markdown, all: readonly string[]): OptionRow[] {
  return markdown.rowsUnder('Options').map(([name, fallback, , owners = '']) => ({
    name: quotedIn(name)[0] ?? '',
    fallback: (quotedIn(fallback)[0] ?? '').replace(/^'|'$|(?<=\d)_(?=\d)/g, ''),
    owners: owners === 'all' ? all : owners.split(', '),
  }));
}

/** The options that a constructor knows: it lists them when it is given one that it does not know. */
export function knownOptions(make: (options: never) => unknown): string[] {
  try {
    make({ unheardOf: true } as never);
  } catch (error) {
    const list = error instanceof Error ? error.message.split('it knows ')[1] : undefined;
    if (list !== undefined) return list.split(', ');
  }
  throw new Error('it took an option that nobody knows');
}
