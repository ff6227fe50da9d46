/**
 * What a user gets: packs every published package, installs the archives into an empty project with npm under the oldest
 * supported Node, and uses them there: every entry point, every program, and beside a published transport.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const OLDEST_NODE = '20.19.0';
/** Beside ours: what users have anyway, and a transport, which must take our core and not bring the published one along. */
const COMPANIONS = [`node@${OLDEST_NODE}`, 'tmcp@^1.20.0', '@tmcp/transport-http@^0.9.0', 'vitest@~4.1.12'];

/** Stands in for the modules of workerd, so that Node can at least link a package that is made for it. */
const WORKERD = `import { register } from 'node:module';
const stub = 'data:text/javascript,export class DurableObject {}; export const env = {}; export const waitUntil = () => {};';
register('data:text/javascript,' + encodeURIComponent(\`export const resolve = (specifier, context, next) =>
  specifier === 'cloudflare:workers' ? { url: \${JSON.stringify(stub)}, shortCircuit: true } : next(specifier, context);\`));
`;

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly private?: boolean;
  readonly bin?: Record<string, string>;
  readonly exports: Record<string, unknown>;
}

const root = join(import.meta.dirname, '..');
const project = mkdtempSync(join(tmpdir(), 'tmcp-smoke-'));
try {
  const packages = readdirSync(join(root, 'packages'))
    .map((folder) => ({ directory: join(root, 'packages', folder), manifest: readManifest(folder) }))
    .filter(({ manifest }) => !manifest.private);

  const archives = packages.map(({ directory }, index) => {
    const archive = join(project, `package-${index}.tgz`);
    run('pnpm', ['pack', '--out', archive], directory);
    return archive;
  });
  writeFileSync(join(project, 'package.json'), '{ "private": true, "type": "module" }');
  run('npm', ['install', '--no-audit', '--no-fund', '--loglevel=error', ...COMPANIONS, ...archives], project);

  const node = join(project, 'node_modules/.bin/node');
  expect(run(node, ['--version'], project).trim() === `v${OLDEST_NODE}`, `Node ${OLDEST_NODE} runs`);
  for (const { manifest } of packages) {
    for (const specifier of entryPoints(manifest)) importEntryPoint(node, specifier);
    for (const program of Object.keys(manifest.bin ?? {})) runHelp(node, program);
  }
  const secondCopy = join(project, 'node_modules/@tmcp/transport-http/node_modules/@tmcp/session-manager');
  expect(!existsSync(secondCopy), 'the published transport uses our core');
} finally {
  rmSync(project, { recursive: true, force: true });
}

function readManifest(folder: string): Manifest {
  return JSON.parse(readFileSync(join(root, 'packages', folder, 'package.json'), 'utf8')) as Manifest;
}

function entryPoints({ name, exports }: Manifest): string[] {
  return Object.keys(exports)
    .filter((path) => path !== './package.json')
    .map((path) => name + path.slice(1));
}

/** The conformance kit is made for vitest and is imported there; the rest must do without. */
function importEntryPoint(node: string, specifier: string): void {
  const importIt = `const names = Object.keys(await import('${specifier}'));
    if (names.length === 0) throw new Error('${specifier} exports nothing');`;
  if (specifier.endsWith('/testing')) {
    writeFileSync(
      join(project, 'kit.test.js'),
      `import { it } from 'vitest'; it('is imported', async () => { ${importIt} });`,
    );
    run(node, [join(project, 'node_modules/vitest/vitest.mjs'), 'run', 'kit.test.js'], project);
  } else {
    const prelude = specifier.endsWith('-durable-objects') ? WORKERD : '';
    run(node, ['--input-type=module', '--eval', prelude + importIt], project);
  }
  expect(true, `import '${specifier}'`);
}

function runHelp(node: string, program: string): void {
  const output = run(node, [join(project, 'node_modules/.bin', program), '--help'], project);
  expect(output.includes(program), `${program} --help`);
}

function run(file: string, args: readonly string[], cwd: string): string {
  return execFileSync(file, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
}

function expect(holds: boolean, what: string): void {
  if (!holds) throw new Error(`Not so: ${what}`);
  console.log(`ok: ${what}`);
}
