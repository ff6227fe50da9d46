import { expect, it } from 'vitest';
import { RecentParts } from '../../src/delivery/recent-parts.ts';

it('recent/controls-count: claims and releases count towards the limit with what they take in memory', () => {
  const recent = new RecentParts(64 * 1024);
  for (let last = 1; last <= 2_000; last += 1) {
    recent.push({ base: last - 1, last, items: [{ k: 'e', s: `session-${last}` }], data: '' });
  }
  expect(recent.after(0)).toBeUndefined();
  expect(recent.after(1_990)).toHaveLength(10);
});
