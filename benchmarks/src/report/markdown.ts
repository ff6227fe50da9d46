import type { Report, Table } from '../benchmark.ts';

/** One section of the results. */
export function toMarkdown(name: string, title: string, report: Report): string {
  const { method, tables, targets, notes = [] } = report;
  const verdicts = targets.map(({ what, required, measured, reached }) => [
    what,
    required,
    measured,
    reached ? 'reached' : '**missed**',
  ]);
  return [
    `## ${title}`,
    `\`${name}\`: ${method}`,
    ...tables.map(tableToMarkdown),
    ...(verdicts.length > 0 ? [tableToMarkdown({ head: ['target', 'required', 'measured', ''], rows: verdicts })] : []),
    ...(notes.length > 0 ? [notes.map((note) => `- ${note}`).join('\n')] : []),
  ].join('\n\n');
}

export function tableToMarkdown({ head, rows }: Table): string {
  const all = [head, ...rows];
  const widths = head.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  const line = (cells: readonly string[]): string =>
    `| ${widths.map((width, column) => (cells[column] ?? '').padEnd(width)).join(' | ')} |`;
  return [line(head), `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`, ...rows.map(line)].join('\n');
}
