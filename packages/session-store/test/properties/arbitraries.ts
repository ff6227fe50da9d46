import type { Session } from '@tmcp/session-store';
import fc from 'fast-check';

/** Any text that can be stored. */
export const text = (maxLength = 40): fc.Arbitrary<string> =>
  fc
    .string({ unit: 'binary', maxLength })
    .filter((value) => value.isWellFormed() && !value.includes('\0') && !/^(mcpenc|enc):/.test(value));

export const id = (): fc.Arbitrary<string> =>
  fc.oneof(
    fc.constantFrom('a', 'b', 'a:b', ':', '{}', '*', '__proto__', 'constructor', '[a]', '%', '😀'),
    text(20).filter((value) => value !== ''),
  );

/** Any object of JSON. Minus zero is none: JSON has one zero. */
export const json = (): fc.Arbitrary<Record<string, unknown>> => {
  const value = fc.letrec((tie) => ({
    any: fc.oneof(
      { maxDepth: 3 },
      fc.constantFrom(null, true, false, '', 0, [], {}),
      text(),
      fc.integer(),
      fc.double({ noNaN: true, noDefaultInfinity: true }).map((number) => (number === 0 ? 0 : number)),
      fc.array(tie('any'), { maxLength: 4 }),
      fc.dictionary(text(10), tie('any'), { maxKeys: 4, noNullPrototype: true }),
    ),
  })).any;
  return fc.dictionary(text(10), value, { maxKeys: 5, noNullPrototype: true });
};

const orNull = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | null | undefined> =>
  fc.option(fc.option(arbitrary, { nil: undefined }), { nil: null });

const tokens = fc
  .tuple(
    text().filter((value) => value !== ''),
    text(),
    fc.option(text(), { nil: undefined }),
    json(),
  )
  .map(([access_token, token_type, refresh_token, more]) => ({
    ...more,
    access_token,
    token_type,
    ...(refresh_token === undefined ? { refresh_token: 'r' } : { refresh_token }),
  }));

/** Changes of any fields: some set, some cleared, some left. */
export const changes = (): fc.Arbitrary<Record<string, unknown>> =>
  fc.record(
    {
      serverUrl: text().filter((value) => value !== ''),
      serverId: orNull(text()),
      serverName: orNull(text()),
      status: fc.constantFrom('pending', 'active', undefined),
      transportType: fc.constantFrom('sse', 'streamable-http'),
      headers: orNull(fc.dictionary(text(10), text(), { maxKeys: 3, noNullPrototype: true })),
      authUrl: orNull(text()),
      metadata: orNull(json()),
      clientInformation: orNull(json()),
      tokens: orNull(tokens),
      codeVerifier: orNull(text()),
      clientId: orNull(text()),
      oauthState: orNull(
        fc.record({ nonce: text().filter((value) => value !== ''), createdAt: fc.integer({ min: 0, max: 2 ** 41 }) }),
      ),
    },
    { requiredKeys: [] },
  );

export const session = (key: { userId: string; sessionId: string }, createdAt: number): fc.Arbitrary<Session> =>
  changes().map(
    (change) =>
      ({
        serverUrl: 'https://mcp.example',
        callbackUrl: 'https://app.example',
        transportType: 'sse',
        ...change,
        ...key,
        createdAt,
      }) as Session,
  );
