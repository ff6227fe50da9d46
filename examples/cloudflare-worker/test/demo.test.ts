import { spawnNode, waitFor } from 'test-support';
import { describe, expect, it } from 'vitest';

const DEMO = new URL('../demo/demo.ts', import.meta.url);

// Most of their time they wait. A slow machine bundles and starts the Worker many times slower than a fast one.
describe.concurrent('the demo', { timeout: 120_000 }, () => {
  it.for(['durable-objects', 'kv'])('cloudflare-worker/%s: every step holds', async (info) => {
    await using demo = await spawnNode(DEMO, ['--info', info]);
    const { code } = await demo.exited;
    expect(demo.output).toMatch(/^6 of 6 steps held/m);
    expect(code).toBe(0);
  });

  it('cloudflare-worker/killed: nothing goes on when it is killed', async () => {
    await using demo = await spawnNode(DEMO);
    const url = await waitFor(() => /http:\S+\/mcp/.exec(demo.output)?.[0], {
      timeoutMs: 60_000,
      message: () => `the Worker; the demo wrote:\n${demo.output}`,
    });
    expect((await fetch(new URL('/', url))).status).toBe(404);
    await demo.kill('SIGKILL');
    await waitFor(() => fetch(url).then(() => false, refused), { message: 'the end of wrangler dev' });
  });

  it('cloudflare-worker/unknown-info: it says where session info can be, and fails', async () => {
    await using demo = await spawnNode(DEMO, ['--info', 'papyrus']);
    expect(await demo.exited).toEqual({ code: 1, signal: null });
    expect(demo.output).toBe('There is no place "papyrus" for session info; known are: durable-objects, kv\n');
  });
});

function refused({ cause }: { cause?: { code?: string } }): boolean {
  return cause?.code === 'ECONNREFUSED';
}
