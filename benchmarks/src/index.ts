import { loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { startPostgres } from 'test-support';
import { benches } from './benches/index.ts';
import type { Context } from './benchmark.ts';
import { describeMachine, measureCommit } from './machine.ts';
import { tableToMarkdown, toMarkdown } from './report/markdown.ts';
import { writeResults } from './report/results-file.ts';

// `pnpm bench` runs everything and writes RESULTS.md; `pnpm bench -- <name> ...` runs some and prints them;
// `--quick` tries out whether they work, with sizes that say nothing.
const { values, positionals } = parseArgs({
  args: process.argv.slice(2).filter((argument) => argument !== '--'),
  options: { quick: { type: 'boolean', default: false } },
  allowPositionals: true,
});
const unknown = positionals.filter((name) => !Object.hasOwn(benches, name));
if (unknown.length > 0) {
  console.error(`Unknown: ${unknown.join(', ')}. There are: ${Object.keys(benches).join(', ')}`);
  process.exit(2);
}

await using server = await startPostgres({ settings: { fsync: true } });
const commitMs = await measureCommit(server);
const machine = tableToMarkdown({ head: ['', ''], rows: await describeMachine(server, commitMs) });
console.log(`${machine}\n`);

const context: Context = {
  server,
  commitMs,
  rounds: values.quick ? 1 : 5,
  roundMs: values.quick ? 200 : 1_000,
  size: (full) => (values.quick ? Math.ceil(full / 20) : full),
};
const sections: string[] = [];
let missed = 0;
for (const [name, benchmark] of Object.entries(benches)) {
  if (positionals.length > 0 && !positionals.includes(name)) continue;
  const before = loadavg()[0]?.toFixed(2);
  const report = await benchmark.run(context);
  const section = toMarkdown(name, benchmark.title, report);
  missed += report.targets.filter(({ reached }) => !reached).length;
  sections.push(section);
  console.log(`${section}\n\n(load when it began: ${before})\n`);
}
console.log(missed === 0 ? 'All targets were reached.' : `${missed} targets were missed.`);
if (positionals.length === 0 && !values.quick) writeResults(machine, sections, missed);
