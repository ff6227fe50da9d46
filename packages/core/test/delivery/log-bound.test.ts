import { expect, it } from 'vitest';
import { InMemoryStreamSessionManager } from '../../src/in-memory/in-memory-stream-session-manager.ts';
import { InProcessHub } from '../../src/in-memory/in-process-backplane.ts';

it('memory/burst-bounded: the log keeps its bound between two heartbeats', async () => {
  const hub = new InProcessHub();
  await using streams = new InMemoryStreamSessionManager({ hub, maxLogBytes: 100_000, heartbeatMs: 9_000 });
  const { log } = hub.namespace('default');
  for (let message = 0; message < 100; message += 1) {
    await streams.publish(undefined, `data: ${'x'.repeat(10_000)}\n\n`);
    expect(log.bytes).toBeLessThanOrEqual(125_000);
  }
  expect(log.head).toBe(100);
  expect(log.bytes).toBeGreaterThan(80_000);
});
