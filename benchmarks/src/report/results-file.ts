import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { tableToMarkdown } from './markdown.ts';

const FILE = new URL('../../RESULTS.md', import.meta.url);
const MARK = /^<!-- (\S+) -->$/m;
const MACHINE_ROW = /^\| (.*?) +\| (.*?) +\|$/gm;

/**
 * Writes `benchmarks/RESULTS.md`. Sections that were not run keep what they said before: each names its own date and
 * load. So do servers that were not started.
 *
 * @param machine what the figures depend on, and what it is
 * @param measured by name of the section
 * @param order names of all sections, in the order of the results
 */
export function writeResults(
  machine: readonly (readonly [string, string])[],
  measured: ReadonlyMap<string, string>,
  order: readonly string[],
): void {
  const known = new Map([...readSections(), ...measured]);
  const sections = order.flatMap((name) => {
    const text = known.get(name);
    return text === undefined ? [] : [`<!-- ${name} -->\n${text}`];
  });
  const missed = sections.join('\n').split('**missed**').length - 1;
  const text = [
    '# Results of the benchmarks',
    'Written by `npx -y pnpm@12 bench`. Base and ours run in turns on the same server in the same run: read the ratios, ' +
      'for the absolute figures belong to this machine. Every message is counted and its order checked; a run that ' +
      'loses one fails. Frames have 200 bytes; figures are medians of five rounds, after three that warm up.',
    tableToMarkdown({ head: ['', ''], rows: [...new Map([...readMachine(), ...machine])] }),
    missed === 0 ? 'All targets were reached.' : `${missed} of the targets were missed; the tables say which.`,
    ...sections,
  ].join('\n\n');
  writeFileSync(FILE, `${text}\n`);
}

function readMachine(): [string, string][] {
  if (!existsSync(FILE)) return [];
  const [beginning = ''] = readFileSync(FILE, 'utf8').split(/^(?=<!-- )/m);
  const rows = [...beginning.matchAll(MACHINE_ROW)].map(([, what = '', is = '']): [string, string] => [what, is]);
  return rows.filter(([what]) => what !== '');
}

function readSections(): [name: string, text: string][] {
  if (!existsSync(FILE)) return [];
  const [, ...pieces] = readFileSync(FILE, 'utf8').split(/^(?=<!-- \S+ -->$)/m);
  return pieces.map((piece) => [MARK.exec(piece)?.[1] ?? '', piece.replace(MARK, '').trim()]);
}
