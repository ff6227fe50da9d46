import { existsSync, globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { brokenLinks, Markdown } from '../src/readme/index.ts';

const ROOT = join(import.meta.dirname, '../..');

const FOLDERS = [
  '.',
  '.changeset',
  'docs',
  'benchmarks',
  'test-support',
  'packages/*',
  'packages/*/docs',
  'examples/*',
];
/** Written by `pnpm bench`, which nobody runs before the first release. */
const WRITTEN_LATER = '../benchmarks/RESULTS.md';

const paths = globSync(
  FOLDERS.map((folder) => join(folder, '*.md')),
  { cwd: ROOT },
);

it.each(paths)('%s: links lead somewhere', (path) => {
  const file = join(ROOT, path);
  const broken = brokenLinks(file, new Markdown(readFileSync(file, 'utf8')));
  expect(broken.filter((link) => link !== WRITTEN_LATER)).toEqual([]);
});

it('CONTRIBUTING.md: commands and files exist', () => {
  const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { scripts: object };
  const { blocks } = new Markdown(readFileSync(join(ROOT, 'CONTRIBUTING.md'), 'utf8'));
  const commands = blocks.flatMap(({ text }) => text.split('\n').filter(Boolean));
  for (const command of commands) {
    const [npx, yes, pnpm, script = '', ...args] = command.split(' ');
    expect([npx, yes, pnpm]).toEqual(['npx', '-y', 'pnpm@12']);
    expect(Object.keys(scripts)).toContain(script);
    for (const path of args.filter((arg) => arg.endsWith('.ts'))) expect(existsSync(join(ROOT, path)), path).toBe(true);
  }
});
