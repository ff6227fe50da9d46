import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Block, Markdown } from './markdown.ts';
import { type Environment, kindOf, type ServingSnippet, Snippets } from './snippets.ts';

export interface ReadmeOptions {
  readonly readme: URL;
  /** Folder of the package whose name and dependencies the blocks import. @default the folder of the README */
  readonly root?: URL;
  /** Environment of one snippet; called before it runs. `skip` ends its test as skipped, for want of what it needs. */
  readonly env?: (block: Block, skip: (why: string) => never) => Promise<Environment>;
  /** Further checks of snippets that serve, by the heading that they stand under. */
  readonly servers?: Readonly<Record<string, (server: ServingSnippet) => Promise<void>>>;
  /** Which tests of a snippet that is a file of tests are run: those with this in their names. */
  readonly filter?: string;
  /** False where the blocks of several files are compiled together, with `typeErrorsOf`. @default true */
  readonly compile?: boolean;
  /** Runs a block of SQL. Without it there must be none. */
  readonly sql?: (block: Block) => Promise<void>;
  /** Checks a command in a block of shell, by its first words. */
  readonly commands?: Readonly<Record<string, (command: string) => Promise<void> | void>>;
}

/** Languages of blocks that nobody runs. */
const PICTURES: readonly string[] = ['mermaid', 'text'];

/**
 * Holds a README to its word: every block of TypeScript is compiled and run as it stands there, every block of SQL and
 * every command is tried, every link leads somewhere, and there is no block that is none of these.
 */
export function describeReadme(options: ReadmeOptions): void {
  const { readme, root = new URL('.', readme), env = async () => ({}), compile = true } = options;
  const path = fileURLToPath(readme);
  const markdown = new Markdown(readFileSync(path, 'utf8'));
  const of = (...languages: string[]): Block[] =>
    markdown.blocks.filter(({ language }) => languages.includes(language));
  const code = of('ts', 'js');

  let snippets: Snippets;
  beforeAll(() => {
    snippets = new Snippets(fileURLToPath(root), code);
  });
  // A hook before it may have failed.
  afterAll(() => (snippets as Snippets | undefined)?.remove());

  async function runCode(block: Block, skip: (why: string) => never): Promise<void> {
    const environment = await env(block, skip);
    const kind = kindOf(block);
    if (kind === 'program') await snippets.run(block, environment);
    else if (kind === 'tests') await snippets.runTests(block, environment, options.filter ?? '');
    else await snippets.serve(block, environment, options.servers?.[block.heading] ?? (async () => undefined));
  }

  describe('blocks', { concurrent: true, timeout: 60_000 }, () => {
    if (compile) {
      it.runIf(code.length > 0)('all compile', async () => {
        expect(await snippets.typeErrors()).toBe('');
      });
    }
    for (const block of code) it(titleOf(block), ({ skip }) => runCode(block, skip));
    for (const block of of('sql')) {
      it(titleOf(block), async () => {
        if (!options.sql) throw new Error('nobody runs SQL here');
        await options.sql(block);
      });
    }
    for (const block of of('sh')) it(titleOf(block), () => tryCommands(block, options.commands ?? {}));
  });

  it('has no block that is neither run nor a picture', () => {
    const known = ['ts', 'js', 'sql', 'sh', ...PICTURES];
    expect(markdown.blocks.filter(({ language }) => !known.includes(language))).toEqual([]);
    const headings = markdown.headings.map(({ text }) => text);
    expect(Object.keys(options.servers ?? {}).filter((heading) => !headings.includes(heading))).toEqual([]);
  });

  it('has no link that leads nowhere', () => {
    expect(brokenLinks(path, markdown)).toEqual([]);
  });
}

/**
 * What TypeScript has to say of the blocks of several files of a package; empty when all is well. Most of a check is reading
 * what the blocks import, which is done once here.
 *
 * @param types packages of global types, in place of those that the package itself is compiled with
 */
export async function typeErrorsOf(root: URL, readmes: readonly URL[], types?: readonly string[]): Promise<string> {
  const blocks = readmes.flatMap((readme) => {
    const path = fileURLToPath(readme);
    const code = new Markdown(readFileSync(path, 'utf8')).blocks.filter(({ language }) => /^[jt]s$/.test(language));
    return code.map((block) => ({ ...block, page: basename(path) }));
  });
  const snippets = new Snippets(fileURLToPath(root), blocks, types);
  try {
    return await snippets.typeErrors();
  } finally {
    snippets.remove();
  }
}

function titleOf({ heading, language, line }: Block): string {
  return `${heading} (${language}, line ${line})`;
}

async function tryCommands({ text }: Block, commands: NonNullable<ReadmeOptions['commands']>): Promise<void> {
  for (const command of text.replaceAll('\\\n', ' ').split('\n').filter(Boolean)) {
    const known = Object.keys(commands).find((beginning) => command.startsWith(beginning));
    if (known === undefined) throw new Error(`nobody knows how to try: ${command}`);
    await commands[known]?.(command);
  }
}

/** Links of a file into this repository that lead nowhere; others would need a network. */
export function brokenLinks(path: string, markdown: Markdown): string[] {
  return markdown.links.filter((link) => {
    if (/^[a-z]+:/.test(link)) return false;
    const [file = '', anchor] = link.split('#');
    const target = file === '' ? path : join(dirname(path), file);
    if (!existsSync(target)) return true;
    if (anchor === undefined) return false;
    const inside = file === '' ? markdown : new Markdown(readFileSync(target, 'utf8'));
    return !inside.anchors.includes(anchor);
  });
}
