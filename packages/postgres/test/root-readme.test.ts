import { readFileSync } from 'node:fs';
import { type KitPostgres, kitPostgres } from 'test-support';
import { describeReadme, saysHello } from 'test-support/readme';
import { afterAll, beforeAll, expect } from 'vitest';

/** The README of the repository, whose snippets use this package. */
const README = new URL('../../../README.md', import.meta.url);

let postgres: KitPostgres;
beforeAll(async () => {
  postgres = await kitPostgres();
});
afterAll(() => postgres.stop());

const readJson = <T>(path: string): T => JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8')) as T;

describeReadme({
  readme: README,
  root: new URL('..', import.meta.url),
  env: async () => ({ DATABASE_URL: postgres.url }),
  servers: { Use: saysHello },
  commands: {
    'npx -y pnpm@12 ': (command) => {
      const { scripts } = readJson<{ scripts: Record<string, string> }>('../../../package.json');
      expect(Object.keys(scripts)).toContain(command.split(' ')[3]);
    },
    'npm install ': (command) => {
      const { name, dependencies, devDependencies } = readJson<{
        name: string;
        dependencies: Record<string, string>;
        devDependencies: Record<string, string>;
      }>('../package.json');
      const known = [name, ...Object.keys({ ...dependencies, ...devDependencies })];
      expect(known).toEqual(expect.arrayContaining(command.split(' ').slice(2)));
    },
  },
});
