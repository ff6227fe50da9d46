import { defineConfig } from 'tsup';

/** Backends and tools that have a subpath of their own. */
const subpaths: string[] = ['file', 'memory', 'neon', 'postgres', 'redis', 'testing'];
const entry = {
  index: 'src/index.ts',
  ...Object.fromEntries(subpaths.map((name) => [`${name}/index`, `src/${name}/index.ts`])),
};

export default defineConfig({
  entry: { ...entry, cli: 'src/cli.ts' },
  format: 'esm',
  target: 'node20.19',
  dts: { entry },
  sourcemap: true,
  clean: true,
});
