import { defineConfig } from 'tsup';

export default defineConfig({
  entry: { index: 'src/index.ts' },
  format: 'esm',
  target: 'es2023',
  // Modules of the runtime.
  external: [/^cloudflare:/],
  dts: true,
  sourcemap: true,
  clean: true,
});
