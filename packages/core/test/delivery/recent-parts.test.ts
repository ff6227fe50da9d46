import { expect, it } from 'vitest';
import { RecentParts } from '../../src/delivery/recent-parts.ts';

it('recent/controls-count: claims and releases count towards the limit with what they take in memory', () => {
  const recent = new RecentParts(64 * 1024);
  for (let last = 1; last <= 2_000; last += 1) {
    const head = JSON.stringify([{ k: 'e', s: `session-${last}` }]);
    recent.push({ epoch: 'epoch', last, count: 1, token: `${last}`, head, data: '' });
  }
  expect(recent.after(0)).toBeUndefined();
  expect(recent.after(1_990)).toHaveLength(10);
});

it('recent/receivers-count: so does a message with the names of its receivers, however short its text', () => {
  const recent = new RecentParts(64 * 1024);
  const head = JSON.stringify([[Array.from({ length: 1_000 }, (_, i) => `session-${i}`), 1]]);
  for (let last = 1; last <= 100; last += 1) {
    recent.push({ epoch: 'epoch', last, count: 1, token: `${last}`, head, data: 'x' });
  }
  expect(recent.after(80)).toBeUndefined();
  expect(recent.after(97)).toHaveLength(3);
});
