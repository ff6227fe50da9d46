import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { type Block, describeReadme, Markdown, optionRows } from '../src/readme/index.ts';
import { kindOf, Snippets } from '../src/readme/snippets.ts';

describeReadme({ readme: new URL('../README.md', import.meta.url) });

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** A README with one block of TypeScript, that begins in line 4. */
function readmeWith(...lines: string[]): Markdown {
  return new Markdown(['# Title', '', '```ts', ...lines, '```'].join('\n'));
}

describe('what is held against a README', () => {
  const made: Snippets[] = [];
  afterEach(() => {
    for (const snippets of made.splice(0)) snippets.remove();
  });

  function snippetsOf(...lines: string[]): { readonly snippets: Snippets; readonly block: Block } {
    const { blocks } = readmeWith(...lines);
    const [block] = blocks;
    if (!block) throw new Error('there is no block');
    const snippets = new Snippets(ROOT, blocks);
    made.push(snippets);
    return { snippets, block };
  }

  async function errorOf(...lines: string[]): Promise<string> {
    const { snippets, block } = snippetsOf(...lines);
    const run = kindOf(block) === 'server' ? snippets.serve(block, {}, async () => {}) : snippets.run(block, {});
    return run.then(
      () => '',
      (error: Error) => error.message,
    );
  }

  it('a type error, with its place in the README', async () => {
    const { snippets } = snippetsOf('', "export const text: string = 'a';", 'export const one: number = text;');
    expect(await snippets.typeErrors()).toMatch(/^README\.md\(6,14\): error TS2322/);
  });

  it('an exit code, a rejection that nobody handles, a warning', async () => {
    expect(await errorOf("console.log('fine');")).toBe('');
    expect(await errorOf('process.exitCode = 3;')).toContain('ended with 3');
    expect(await errorOf("void Promise.reject(new Error('nobody'));")).toContain('nobody');
    expect(await errorOf("process.emitWarning('careful');")).toContain('careful');
  });

  it('a server that ends by itself, or does not survive the signal that it handles', async () => {
    const serve =
      "import { createServer } from 'node:http';\nconst server = createServer((_, response) => response.end());";
    const listen = 'server.listen(process.env.PORT);';
    expect(await errorOf(serve, listen)).toBe('');
    expect(await errorOf(serve, listen, "process.once('SIGTERM', () => server.close());")).toBe('');
    expect(await errorOf(serve, listen, "process.once('SIGTERM', () => process.exit(2));")).toContain('ended with 2');
    expect(await errorOf(serve, listen, 'process.exit(0);')).toContain('ended by itself');
  });

  it('its tables', () => {
    const markdown = new Markdown(
      [
        '## Options',
        '',
        '| option | default |  | of |',
        '|---|---|---|---|',
        "| `a` | `'b'` | x \\| y | all |",
        '| `c` | `1_000` |  | d, e |',
      ].join('\n'),
    );
    expect(optionRows(markdown, ['d'])).toEqual([
      { name: 'a', fallback: 'b', owners: ['d'] },
      { name: 'c', fallback: '1000', owners: ['d', 'e'] },
    ]);
  });
});
