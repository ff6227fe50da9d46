import { writeFileSync } from 'node:fs';

/** Writes `benchmarks/RESULTS.md`. */
export function writeResults(machine: string, sections: readonly string[], missed: number): void {
  const text = [
    '# Results of the benchmarks',
    'Written by `npx -y pnpm@12 bench`. Base and ours run in turns on the same server in the same run: read the ratios, ' +
      'for the absolute figures belong to this machine. Every message is counted and its order checked; a run that ' +
      'loses one fails. Frames have 200 bytes; figures are medians of five rounds after a warm-up.',
    machine,
    missed === 0 ? 'All targets were reached.' : `${missed} of the targets were missed; the tables say which.`,
    ...sections,
  ].join('\n\n');
  writeFileSync(new URL('../../RESULTS.md', import.meta.url), `${text}\n`);
}
