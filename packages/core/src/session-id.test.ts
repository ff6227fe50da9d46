import { describe, expect, it } from 'vitest';
import { assertResourceUri, assertSessionId } from './session-id.ts';

const refused = expect.objectContaining({ code: 'invalid-id' });

describe('assertSessionId', () => {
  it.each([
    ['a visible id', 'a%_"\'\\ *[x]'],
    ['1,024 bytes', 'x'.repeat(1024)],
    ['1,024 bytes of emoji', '😀'.repeat(256)],
  ])('accepts %s', (_, id) => {
    expect(() => assertSessionId(id)).not.toThrow();
  });

  it.each([
    ['empty text', ''],
    ['1,025 bytes', 'x'.repeat(1025)],
    ['1,026 bytes in 513 characters', 'é'.repeat(513)],
    ['a lone surrogate', 'a\ud83d'],
    ['NUL', 'a\0'],
    ['a line break', 'a\nb'],
    ['DEL', '\x7f'],
    ['a C1 control character', '\x85'],
    ['a value that is no text', 7 as unknown as string],
  ])('refuses %s', (_, id) => {
    expect(() => assertSessionId(id)).toThrowError(refused);
  });
});

describe('assertResourceUri', () => {
  it('accepts up to 64 KiB of anything a store can keep', () => {
    expect(() => assertResourceUri(`file:///a\tb/${'é'.repeat(30_000)}`)).not.toThrow();
  });

  it.each([[''], ['a\0'], ['\udc00'], ['x'.repeat(65_537)]])('refuses %#', (uri) => {
    expect(() => assertResourceUri(uri)).toThrowError(refused);
  });
});
