import { expect } from 'vitest';
import type { Session } from '../../session.ts';
import { type Cases, expectFailure, fullSession, ID, session, USER } from '../case-kit.ts';

/** `create`, and what comes back of it. */
export const createCases: Cases = {
  'store/create-and-get: a session comes back with defaults, times and version': async ({ open }) => {
    const store = await open();
    const given = session();
    await store.create(given);
    const { updatedAt, expiresAt, version, ...rest } = (await store.get(USER, ID)) ?? expect.unreachable();
    expect(rest).toEqual({ ...given, status: 'pending' });
    expect(updatedAt).toBeGreaterThanOrEqual(given.createdAt - 60_000);
    expect(expiresAt).toBe(given.createdAt + 600_000);
    expect(Number.isSafeInteger(version)).toBe(true);
  },

  'store/create-every-field: every field survives, secrets are returned on request only': async ({ open }) => {
    const store = await open();
    const given = fullSession();
    await store.create(given);
    const shown = await store.get(USER, ID);
    expect(shown).toMatchObject({ headers: given.headers, authUrl: given.authUrl, metadata: given.metadata });
    for (const name of ['tokens', 'clientInformation', 'codeVerifier', 'clientId', 'oauthState']) {
      expect(shown).not.toHaveProperty(name);
    }
    const { updatedAt, version, ...all } =
      (await store.get(USER, ID, { includeCredentials: true })) ?? expect.unreachable();
    expect(all).toEqual({ ...given, expiresAt: null });
  },

  'store/create-exact-values: empty, false, zero, large and strange values stay what they are': async ({ open }) => {
    const store = await open();
    const metadata = {
      list: [],
      object: {},
      text: '',
      no: false,
      zero: 0,
      nothing: null,
      large: '9007199254740993000',
      time: 1_795_255_078_142,
      real: 0.1,
      mixed: [[], {}, '', false, null, [[0]]],
      '': 'empty name',
      'a.b:c': 'é 😀 \u{10FFFF}',
    };
    const tokens = { access_token: 'a', token_type: '', expires_in: 0, scope: '', odd: { kept: [null] } };
    const clientInformation = { redirect_uris: [], grant_types: [''] };
    await store.create(session({ metadata, tokens, clientInformation, serverName: '', headers: {} }));
    expect(await store.get(USER, ID, { includeCredentials: true })).toMatchObject({ serverName: '', headers: {} });
    const found = await store.get(USER, ID, { includeCredentials: true });
    expect(found?.metadata).toEqual(metadata);
    expect(found?.tokens).toEqual(tokens);
    expect(found?.clientInformation).toEqual(clientInformation);
  },

  'store/create-proto-names: names like __proto__ and constructor are data': async ({ open }) => {
    const store = await open();
    const metadata = JSON.parse('{"__proto__":{"polluted":true},"constructor":{"prototype":1}}') as Session['metadata'];
    await store.create(session({ metadata }));
    const found = await store.get(USER, ID);
    expect(JSON.parse(JSON.stringify(found?.metadata))).toEqual(metadata);
    expect(Object.keys(found?.metadata ?? {}).sort()).toEqual(['__proto__', 'constructor']);
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  },

  'store/create-rejects-live-duplicate: a live session is not replaced': async ({ open }) => {
    const store = await open();
    await store.create(session({ serverName: 'first' }));
    await expectFailure(store.create(session({ serverName: 'second' })), 'exists', `Session ${ID} already exists`);
    expect((await store.get(USER, ID))?.serverName).toBe('first');
  },

  'store/create-null-is-absent: fields that are null or undefined are not there': async ({ open }) => {
    const store = await open();
    await store.create(session({ serverName: null, tokens: null, headers: undefined, codeVerifier: null }));
    const found = await store.get(USER, ID, { includeCredentials: true });
    for (const name of ['serverName', 'tokens', 'headers', 'codeVerifier']) expect(found).not.toHaveProperty(name);
  },

  'store/create-transport-alias: streamable_http is stored as streamable-http': async ({ open }) => {
    const store = await open();
    await store.create({ ...session(), transportType: 'streamable_http' as 'sse' });
    expect((await store.get(USER, ID))?.transportType).toBe('streamable-http');
  },

  'store/create-ignores-what-the-store-decides: version and expiry cannot be given': async ({ open }) => {
    const store = await open();
    await store.create(session({ version: 5, expiresAt: 1 }));
    const found = await store.get(USER, ID);
    expect(found?.version).not.toBe(5);
    expect(found?.expiresAt).not.toBe(1);
  },

  'store/create-copies: what was handed in may change afterwards': async ({ open }) => {
    const store = await open();
    const metadata = { list: [1] };
    const created = store.create(session({ metadata }));
    metadata.list.push(2);
    await created;
    const first = await store.get(USER, ID);
    const list = first?.metadata?.list as number[] | undefined;
    list?.push(3);
    expect((await store.get(USER, ID))?.metadata).toEqual({ list: [1] });
  },

  'store/create-requires: a session without one of its required fields is refused': async ({ open }) => {
    const store = await open();
    const without = (name: keyof Session): Session => {
      const { [name]: _left, ...rest } = session();
      return rest as Session;
    };
    for (const name of ['serverUrl', 'callbackUrl', 'transportType'] as const) {
      await expectFailure(store.create(without(name)), 'validation', `Invalid session field ${name}: is required`);
    }
    for (const name of ['userId', 'sessionId'] as const) {
      await expectFailure(store.create(without(name)), 'validation', 'userId and sessionId required');
    }
    await expectFailure(store.create(without('createdAt')), 'validation', /^Invalid session field createdAt: /);
    expect(await store.listIds(USER)).toEqual([]);
  },

  'store/create-refuses-invalid: values of the wrong form are refused by the name of their field': async ({ open }) => {
    const store = await open();
    const refused: Readonly<Record<string, readonly unknown[]>> = {
      transportType: ['websocket', 1, null],
      status: ['done', null, 1],
      createdAt: [Number.NaN, -1, 1.5, '2026-01-01', null, Number.POSITIVE_INFINITY],
      updatedAt: [Number.NaN, 'now'],
      serverUrl: ['', 7, null, 'a\0b', '\ud800'],
      serverName: ['a\0b', '\udc00x', 3, {}, 'mcpenc:2:x', 'enc:1:x'],
      headers: [{ a: 1 }, [], 'a: b', { 'x\0': 'y' }],
      metadata: [
        [],
        'text',
        { a: Number.NaN },
        { a: 1n },
        { a: () => 1 },
        { a: new Date() },
        { a: new Map() },
        { a: ['\ud800'] },
        { 'a\0': 1 },
        { a: { b: 'x\0' } },
        { a: [undefined] },
      ],
      tokens: [{}, { access_token: '' }, { access_token: 1 }, { access_token: 'a', refresh_token: 5 }, 'token'],
      oauthState: [{}, { nonce: '', createdAt: 1 }, { nonce: 'n' }, { nonce: 'n', createdAt: 'x' }],
      clientId: [9],
    };
    for (const [name, values] of Object.entries(refused)) {
      for (const value of values) {
        const given = { ...session(), [name]: value } as Session;
        await expectFailure(store.create(given), 'validation', new RegExp(`^Invalid session field ${name}: `));
      }
    }
    const endless: Record<string, unknown> = {};
    endless.self = endless;
    await expectFailure(
      store.create(session({ metadata: endless })),
      'validation',
      /^Invalid session field metadata: /,
    );
    expect(await store.listIds(USER)).toEqual([]);
  },

  'store/create-refuses-unknown-field: a field that does not exist is refused by name': async ({ open }) => {
    const store = await open();
    const given = { ...session(), token: 'SECRET' } as Session;
    await expectFailure(store.create(given), 'validation', 'Unknown session field token');
  },
};
