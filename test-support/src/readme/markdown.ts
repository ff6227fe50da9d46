/** A fenced block of a Markdown file. */
export interface Block {
  readonly language: string;
  readonly text: string;
  /** Of its first line of text, from 1. */
  readonly line: number;
  /** The heading that it stands under. */
  readonly heading: string;
  /** The file that it stands in, where blocks of several are looked at together. */
  readonly page?: string;
}

export interface Heading {
  readonly text: string;
  readonly line: number;
}

/** What tests need of a Markdown file. Only fences of backticks at the beginning of a line, and tables with outer pipes. */
export class Markdown {
  readonly blocks: readonly Block[];
  readonly headings: readonly Heading[];
  /** Lines outside of blocks, by number. */
  readonly #prose: ReadonlyMap<number, string>;

  constructor(source: string) {
    const blocks: Block[] = [];
    const headings: Heading[] = [];
    const prose = new Map<number, string>();
    let open: { readonly language: string; readonly line: number; readonly lines: string[] } | undefined;
    for (const [index, text] of source.split('\n').entries()) {
      const number = index + 1;
      const fence = /^```\s*(\S*)/.exec(text);
      if (fence && open) {
        const { language, line, lines } = open;
        blocks.push({ language, line, text: `${lines.join('\n')}\n`, heading: headings.at(-1)?.text ?? '' });
        open = undefined;
      } else if (fence) open = { language: fence[1] ?? '', line: number + 1, lines: [] };
      else if (open) open.lines.push(text);
      else {
        prose.set(number, text);
        const heading = /^#{1,6}\s+(.*?)\s*$/.exec(text)?.[1];
        if (heading !== undefined) headings.push({ text: heading, line: number });
      }
    }
    if (open) throw new Error(`the block in line ${open.line} does not end`);
    this.blocks = blocks;
    this.headings = headings;
    this.#prose = prose;
  }

  /** Targets of all links. */
  get links(): string[] {
    return [...this.#prose.values()].flatMap((text) =>
      [...text.replace(/`[^`]*`/g, '').matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target),
    );
  }

  /** What links can lead to inside of this file, as GitHub names it. */
  get anchors(): string[] {
    return this.headings.map(({ text }) =>
      text
        .toLowerCase()
        .replace(/[^\p{L}\p{N}\s_-]/gu, '')
        .replace(/\s/g, '-'),
    );
  }

  /** Cells of the tables under a heading, without their own headings. */
  rowsUnder(heading: string): string[][] {
    const start = this.headings.find(({ text }) => text === heading);
    if (!start) throw new Error(`there is no heading "${heading}"`);
    const end = this.headings.find(({ line }) => line > start.line)?.line ?? Number.POSITIVE_INFINITY;
    const lines = [...this.#prose].filter(([line]) => line > start.line && line < end).map(([, text]) => text);
    return lines
      .map((text, index) => ({ text, isHeading: /^\|[-| :]+\|$/.test(lines[index + 1] ?? '') }))
      .filter(({ text, isHeading }) => text.startsWith('|') && !isHeading && !/^\|[-| :]+\|$/.test(text))
      .map(({ text }) =>
        text
          .slice(1, text.lastIndexOf('|'))
          .split(/(?<!\\)\|/)
          .map((cell) => cell.trim()),
      );
  }
}
