import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { freePort } from '../free-port.ts';
import { spawnNode } from '../spawn-node.ts';
import { waitFor } from '../wait-for.ts';
import type { Block } from './markdown.ts';

const require = createRequire(import.meta.url);
const TYPE_ERRORS = fileURLToPath(new URL('./type-errors-program.ts', import.meta.url));
const VITEST = join(require.resolve('vitest/package.json'), '../vitest.mjs');

/** What a program may not write to standard error: warnings of Node about its own features say nothing about ours. */
const QUIET = '--disable-warning=ExperimentalWarning';

/** Environment of a snippet. */
export type Environment = Readonly<Record<string, string>>;

/** A snippet that serves, while it runs. */
export interface ServingSnippet {
  /** Its address, without a path. */
  readonly url: string;
  /** Environment that it runs with. */
  readonly env: Environment;
}

/** How a snippet is run: to its end, as a server that has to be stopped, or as a file of tests. */
export type SnippetKind = 'program' | 'server' | 'tests';

/** The kind of a snippet can be seen from its text, so that no block needs a mark that readers would wonder about. */
export function kindOf({ text }: Block): SnippetKind {
  if (/'@tmcp\/session-(manager|store)\/testing'/.test(text)) return 'tests';
  return /\.listen\(/.test(text) ? 'server' : 'program';
}

/**
 * Blocks of TypeScript as files in a folder of their own inside of a package, so that they import what users of the package
 * import. Line numbers are those of the Markdown file.
 */
export class Snippets {
  readonly #directory: string;

  /**
   * @param root folder of the package whose name and dependencies the blocks import
   * @param types packages of global types, in place of those that the package itself is compiled with
   */
  constructor(root: string, blocks: readonly Block[], types?: readonly string[]) {
    this.#directory = mkdtempSync(join(root, '.readme-'));
    for (const block of blocks) {
      writeFileSync(join(this.#directory, fileName(block)), '\n'.repeat(block.line - 1) + block.text);
    }
    writeFileSync(
      join(this.#directory, 'tsconfig.json'),
      JSON.stringify({
        extends: '../tsconfig.json',
        // Examples are not libraries: what they declare is for themselves.
        compilerOptions: { declaration: false, isolatedDeclarations: false, moduleDetection: 'force', types },
        include: ['*line-*.ts'],
      }),
    );
    // Else vitest would take that of the package.
    writeFileSync(join(this.#directory, 'vitest.config.ts'), 'export default {};\n');
  }

  remove(): void {
    rmSync(this.#directory, { recursive: true, force: true });
  }

  /** @returns what TypeScript has to say of the blocks, `README.md(line,column): error …`; empty when all is well */
  async typeErrors(): Promise<string> {
    const { code, output, errors } = await run(process.execPath, [TYPE_ERRORS, this.#directory], {});
    if (code !== 0) throw new Error(`the type check ended with ${code} and wrote:\n${errors}`);
    return output.replace(/^(.*?)line-\d+(?:\.test)?\.ts\(/gm, (_, page) => `${page || 'README.md'}(`).trim();
  }

  /** Runs a program to its end. @returns what it printed */
  async run(block: Block, env: Environment): Promise<string> {
    const { code, output, errors } = await run(process.execPath, [QUIET, this.#pathOf(block)], env);
    if (code !== 0 || errors !== '') throw new Error(`it ended with ${code} and wrote:\n${output}${errors}`);
    return output;
  }

  /** Runs a file of tests: those that have `filter` in their names, of which there have to be some. */
  async runTests(block: Block, env: Environment, filter: string): Promise<void> {
    const args = [VITEST, 'run', '--root', this.#directory, '--testNamePattern', filter, fileName(block)];
    const { code, output, errors } = await run(process.execPath, args, { ...env, NO_COLOR: '1' });
    if (code !== 0 || !/^\s*Tests\s+[1-9]\d* passed/m.test(output)) {
      throw new Error(`vitest ended with ${code} and wrote:\n${output}${errors}`);
    }
  }

  /** Runs a server until `use` is done, then stops it with SIGTERM, which one that handles it has to survive. */
  async serve(block: Block, env: Environment, use: (server: ServingSnippet) => Promise<void>): Promise<void> {
    const port = await freePort();
    const url = `http://127.0.0.1:${port}`;
    const all = { ...env, PORT: String(port), NODE_OPTIONS: QUIET };
    await using server = await spawnNode(this.#pathOf(block), [], all);
    let ended = false;
    void server.exited.then(() => {
      ended = true;
    });
    const answers = async (): Promise<boolean> => ended || (await fetch(url)).status > 0;
    await waitFor(answers, {
      timeoutMs: 30_000,
      message: () => `an answer of the server; it wrote:\n${server.output}`,
    });
    if (ended) throw new Error(`the server ended by itself and wrote:\n${server.output}`);
    await use({ url, env: all });
    const handlesSignal = block.text.includes('SIGTERM');
    const { code, signal } = await server.kill('SIGTERM');
    if (code !== 0 && (handlesSignal || signal !== 'SIGTERM')) {
      throw new Error(`the server ended with ${code ?? signal} and wrote:\n${server.output}`);
    }
    if (/error|warn|unhandled/i.test(server.output)) throw new Error(`the server wrote:\n${server.output}`);
  }

  #pathOf(block: Block): string {
    return join(this.#directory, fileName(block));
  }
}

function fileName(block: Block): string {
  return `${block.page ?? ''}line-${block.line}${kindOf(block) === 'tests' ? '.test' : ''}.ts`;
}

interface Ended {
  readonly code: number | null;
  readonly output: string;
  readonly errors: string;
}

async function run(file: string, args: readonly string[], env: Environment): Promise<Ended> {
  const child = spawn(file, args, {
    env: { ...ownEnvironment(), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 50_000,
  });
  const code = new Promise<number | null>((resolve, reject) => {
    child.once('exit', resolve);
    child.once('error', reject);
  });
  const [output, errors] = await Promise.all([text(child.stdout), text(child.stderr)]);
  return { code: await code, output, errors };
}

/** Without what the test runner has added for itself. */
function ownEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(process.env).filter(([name]) => name !== 'NODE_ENV' && !name.startsWith('VITEST')),
  );
}
