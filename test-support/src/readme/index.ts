export { brokenLinks, describeReadme, type ReadmeOptions, typeErrorsOf } from './describe-readme.ts';
export { type Block, Markdown } from './markdown.ts';
export { callTool, initialize, type ProbedEvent, ProbedStream, post } from './probe.ts';
export { resumes, saysHello, tellsEachTransportOnce } from './server-checks.ts';
export type { Environment, ServingSnippet } from './snippets.ts';
export { knownOptions, type OptionRow, optionRows, quotedIn, quotedInColumn } from './tables.ts';
