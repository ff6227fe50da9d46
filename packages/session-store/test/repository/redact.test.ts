import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { SessionStoreError } from '../../src/index.ts';
import { redact } from '../../src/redact.ts';

const thrown = (make: () => unknown): unknown => {
  try {
    return make();
  } catch (error) {
    return error;
  }
};

describe('redaction', () => {
  it.each<[string, unknown]>([
    ['a parser', thrown(() => JSON.parse('{"access_token": SECRET}'))],
    ['a URL', thrown(() => new URL('redis//:SECRET@host'))],
    [
      'PostgreSQL',
      Object.assign(new Error('duplicate key value violates unique constraint "uq"\nKey (user_id)=("SECRET")'), {
        code: '23505',
        detail: 'Key (user_id, session_id)=(SECRET, s) already exists.',
        where: 'SECRET',
      }),
    ],
    [
      'ioredis',
      Object.assign(new Error("ERR unknown command 'SECRET'"), { command: { name: 'hset', args: ['SECRET'] } }),
    ],
    ['a connection', new Error('cannot reach postgresql://role:SECRET@ep-x.neon.tech/db?sslmode=require')],
    ['a connection without quotes', new Error('password SECRET0123456789abcdef0123456789abcdef is wrong')],
    ['an envelope', new Error('invalid input mcpenc:2:k1:SECRET:SECRET:SECRET')],
    ['a chain', new Error('outer', { cause: new Error('SECRET') })],
    ['an aggregate', new AggregateError([new Error('SECRET')], 'all failed')],
    ['text', 'SECRET'],
    ['an object', { password: 'SECRET' }],
    ['a name', Object.assign(new Error('x'), { name: 'SECRET "x"' })],
    ['a code', Object.assign(new Error('x'), { code: 'secret SECRET' })],
  ])('redact/%s: nothing secret is left in any form', (_title, error) => {
    const clean = redact(error);
    const shown = [inspect(clean, { depth: 9, showHidden: true }), String(clean), clean?.stack, JSON.stringify(clean)];
    expect(shown.join('\n')).not.toContain('SECRET');
    const outer = new SessionStoreError('unavailable', 'x', { cause: clean });
    expect(inspect(outer, { depth: 9, showHidden: true })).not.toContain('SECRET');
  });

  it('redact/useful: what tells operators what is wrong stays', () => {
    const refused = Object.assign(new Error('connect ECONNREFUSED 127.0.0.1:6379'), { code: 'ECONNREFUSED' });
    const clean = redact(refused);
    expect(clean?.message).toBe('connect ECONNREFUSED 127.0.0.1:6379');
    expect(clean).toMatchObject({ code: 'ECONNREFUSED' });
    expect(clean?.stack).toContain('redact.test.ts');
    expect(redact(undefined)).toBeUndefined();
    const own = new SessionStoreError('conflict', 'x');
    expect(redact(own)).toBe(own);
  });
});
