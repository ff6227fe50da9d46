import { expect, it } from 'vitest';
import { waitFor } from '../src/index.ts';

it('wait-for/gives-the-value: resolves with the first truthy value', async () => {
  let looks = 0;
  const value = await waitFor(() => {
    looks += 1;
    if (looks < 2) throw new Error('not yet');
    return looks === 3 && 'third';
  });
  expect(value).toBe('third');
});

it('wait-for/deadline: rejects with what was waited for and the last error', async () => {
  const cause = new Error('still no');
  const waiting = waitFor(
    () => {
      throw cause;
    },
    { timeoutMs: 30, message: () => 'the impossible' },
  );
  await expect(waiting).rejects.toMatchObject({ message: 'Waited 30 ms in vain for the impossible', cause });
});
