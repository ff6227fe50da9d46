import { spawnNode } from 'test-support';
import { expect, it } from 'vitest';

it('demo/unknown-backend: the demo says which backends there are, and fails', async () => {
  await using demo = await spawnNode(new URL('../src/demo.ts', import.meta.url), ['--backend', 'papyrus']);
  expect(await demo.exited).toEqual({ code: 1, signal: null });
  expect(demo.output).toBe('There is no backend "papyrus"; known are: postgres, redis\n');
});
