import { expect, it } from 'vitest';
import { selectedCases } from '../src/testing/cases.ts';

const cases = { 'a/one: a sentence: with a colon': 1, 'a/one-more: a sentence': 2 };

it('kit/without: names cases by their whole id', () => {
  expect(selectedCases('a', cases)).toEqual(Object.entries(cases));
  expect(selectedCases('a', cases, ['a/one'])).toEqual([['a/one-more: a sentence', 2]]);
});

it('kit/without-unknown: an id that the suite does not have is an error', () => {
  expect(() => selectedCases('a', cases, ['a/one', 'a/two', 'a/o'])).toThrow(
    'a: "without" names cases that the suite does not have: a/two, a/o',
  );
});
