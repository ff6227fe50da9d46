import { startRedis } from 'test-support';
import { expect, it } from 'vitest';
import { closeAfterEach, frame, openBackplane, Producer } from './harness.ts';

closeAfterEach();

it('read/small-then-large: a page takes no more memory of the server than some of it, whatever lies behind it', async () => {
  await using server = await startRedis();
  const node = await openBackplane({ url: server.url });
  const producer = new Producer(node);
  const small = Array.from({ length: 500 }, () => frame('a', 'x'));
  for (let i = 0; i < 6; i += 1) await producer.append(small);
  for (let i = 0; i < 400; i += 1) await producer.append([frame('a', 'x'.repeat(256 * 1024 - 100))]);
  const bytes = async (name: string): Promise<number> => Number(await server.info(name));
  await server.command('SCRIPT', 'FLUSH');
  const before = await bytes('used_memory');
  const { parts } = await node.backplane.read(0);
  expect(parts.length).toBe(3_004);
  expect((await bytes('used_memory_peak')) - before).toBeLessThan(32 * 1024 * 1024);
});
