import { loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { Backends } from './backends/index.ts';
import type { Context } from './benchmark.ts';
import { describeMachine } from './machine.ts';
import { tableToMarkdown, toMarkdown } from './report/markdown.ts';
import { writeResults } from './report/results-file.ts';
import { sections } from './sections.ts';

// `pnpm bench` runs everything and writes RESULTS.md; `pnpm bench -- <name> ...` runs some and prints them: a question
// (`throughput`), a backend (`redis`), or one question put to one backend (`redis-throughput`); with `--save` these take
// their places in RESULTS.md.
// `--quick` tries out whether they work, with sizes that say nothing.
const { values, positionals } = parseArgs({
  args: process.argv.slice(2).filter((argument) => argument !== '--'),
  options: { quick: { type: 'boolean', default: false }, save: { type: 'boolean', default: false } },
  allowPositionals: true,
});
const names = new Set(sections.flatMap(({ chosenBy }) => chosenBy));
const unknown = positionals.filter((name) => !names.has(name));
if (unknown.length > 0) {
  console.error(`Unknown: ${unknown.join(', ')}. There are: ${[...names].sort().join(', ')}`);
  process.exit(2);
}
const isChosen = ({ chosenBy }: (typeof sections)[number]): boolean =>
  positionals.length === 0 || chosenBy.some((name) => positionals.includes(name));
const chosen = sections.filter(isChosen);

await using backends = await Backends.start(new Set(chosen.flatMap(({ needs }) => needs)));
const machine = [...describeMachine(), ...backends.description];
console.log(`${tableToMarkdown({ head: ['', ''], rows: machine })}\n`);

const context: Context = {
  backend: (name) => backends.get(name),
  rounds: values.quick ? 1 : 5,
  roundMs: values.quick ? 200 : 2_000,
  size: (full) => (values.quick ? Math.ceil(full / 20) : full),
};
const isSaved = values.save || (positionals.length === 0 && !values.quick);
const order = sections.map(({ name }) => name);
const texts = new Map<string, string>();
let missed = 0;
for (const section of chosen) {
  const before = loadavg()[0]?.toFixed(2);
  const begun = performance.now();
  const report = await section.run(context);
  const text = toMarkdown(section.name, section.title(context), report);
  missed += report.targets.filter(({ reached }) => !reached).length;
  const seconds = Math.round((performance.now() - begun) / 1_000);
  const when = `${new Date().toISOString().slice(0, 16).replace('T', ' ')} UTC`;
  texts.set(section.name, `${text}\n\n(${when}; ${seconds} s; load when it began: ${before})`);
  console.log(`${texts.get(section.name)}\n`);
  if (isSaved) writeResults(machine, texts, order);
}
console.log(missed === 0 ? 'All targets were reached.' : `${missed} targets were missed.`);
