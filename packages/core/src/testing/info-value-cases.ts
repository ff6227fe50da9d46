import { expect } from 'vitest';
import type { InfoSessionManager, LogLevel } from '../info-session-manager.ts';
import { HOSTILE_IDS, type InfoCases, REFUSED_IDS, randomText } from './info-backend.ts';
import { until } from './until.ts';

const CLIENT = { name: 'client', version: '1.0.0' };
const CAPABILITIES = { elicitation: {}, roots: { listChanged: true } };
const LEVELS = ['debug', 'info', 'notice', 'warning', 'error', 'critical', 'alert', 'emergency'] as const;

const code = (expected: string): unknown => expect.objectContaining({ name: 'SessionError', code: expected });

/** Every call that only writes, with one id. */
export function setters(manager: InfoSessionManager, id: string): (() => unknown)[] {
  return [
    () => manager.setClientInfo(id, CLIENT),
    () => manager.setClientCapabilities(id, CAPABILITIES),
    () => manager.setLogLevel(id, 'info'),
    () => manager.addSubscription(id, 'test://one'),
    () => manager.removeSubscription(id, 'test://one'),
  ];
}

export function getters(manager: InfoSessionManager, id: string): (() => Promise<unknown>)[] {
  return [() => manager.getClientInfo(id), () => manager.getClientCapabilities(id), () => manager.getLogLevel(id)];
}

/** What the client said, and how it is read and written. */
export const infoValueCases: InfoCases = {
  'info/not-found: getters of an unknown session reject, and do so as promises': async ({ a }) => {
    for (const get of getters(a, 'unknown')) {
      const answer = get();
      expect(answer).toBeInstanceOf(Promise);
      await expect(answer).rejects.toEqual(code('not-found'));
    }
  },

  'info/other-process: what one process set is read on another': async ({ a, b }) => {
    await a.setClientCapabilities('s', CAPABILITIES);
    await a.setClientInfo('s', CLIENT);
    await a.setLogLevel('s', 'warning');
    expect(await b.getClientCapabilities('s')).toEqual(CAPABILITIES);
    expect(await b.getClientInfo('s')).toEqual(CLIENT);
    expect(await b.getLogLevel('s')).toBe('warning');
  },

  'info/each-field-alone: a session that only said one thing has only that': async ({ a, b }) => {
    await a.setLogLevel('s', 'error');
    expect(await b.getLogLevel('s')).toBe('error');
    await expect(b.getClientInfo('s')).rejects.toEqual(code('not-found'));
    await expect(b.getClientCapabilities('s')).rejects.toEqual(code('not-found'));
  },

  'info/read-your-write: a getter waits for what was set before it on this process': async ({ a }) => {
    for (let version = 0; version < 5; version += 1) {
      void a.setClientInfo('s', { name: 'client', version: String(version) });
      void a.setLogLevel('s', LEVELS[version]);
      const [info, level] = await Promise.all([a.getClientInfo('s'), a.getLogLevel('s')]);
      expect(info).toMatchObject({ version: String(version) });
      expect(level).toBe(LEVELS[version]);
    }
  },

  'info/write-order: writes of a session that nobody awaited are stored in call order': async ({ a, b }) => {
    for (let round = 0; round < 5; round += 1) for (const level of LEVELS) void a.setLogLevel('s', level);
    await a.setLogLevel('s', 'notice');
    expect(await b.getLogLevel('s')).toBe('notice');
  },

  'info/fresh-reads: nothing another process has stored is missed by a later getter': async ({ a, b }) => {
    await a.setClientCapabilities('s', CAPABILITIES);
    await a.setLogLevel('s', 'debug');
    for (const level of LEVELS) {
      expect(await b.getClientCapabilities('s')).toEqual(CAPABILITIES);
      await a.setLogLevel('s', level);
      expect(await b.getLogLevel('s')).toBe(level);
    }
  },

  'info/replaced: a second initialize of the session replaces the first': async ({ a, b }) => {
    await a.setClientInfo('s', CLIENT);
    await b.setClientInfo('s', { ...CLIENT, version: '2.0.0' });
    expect(await a.getClientInfo('s')).toEqual({ ...CLIENT, version: '2.0.0' });
  },

  'info/log-levels: every level comes back as it was set': async ({ a, b }) => {
    for (const level of LEVELS) {
      await a.setLogLevel('s', level);
      expect(await b.getLogLevel('s')).toBe(level);
    }
  },

  'info/log-level-unknown: a level that MCP does not know is not handed out': async ({ a, b }) => {
    await a.setLogLevel('s', 'loud' as LogLevel);
    await expect(b.getLogLevel('s')).rejects.toEqual(code('not-found'));
  },

  'info/any-json: values come back undamaged, NUL and lone surrogates included': async ({ a, b }) => {
    const name = 'NUL \0 surrogate \ud800 emoji 😀 quotes \'" \\ newline \n \u2028 $1 %s';
    const capabilities: Record<string, object> = {
      experimental: { [name]: { deep: [null, true, 1.5, { '': name }] } },
    };
    await a.setClientInfo('s', { name, version: '' });
    await a.setClientCapabilities('s', capabilities);
    expect(await b.getClientInfo('s')).toEqual({ name, version: '' });
    expect(await b.getClientCapabilities('s')).toEqual(capabilities);
  },

  'info/large: values of 256 KiB that do not compress are kept': async ({ a, b }) => {
    const capabilities = { experimental: { large: { text: randomText(262_144) } } };
    await a.setClientCapabilities('s', capabilities);
    expect(await b.getClientCapabilities('s')).toEqual(capabilities);
  },

  'info/null: null is a value, undefined is none': async ({ a, b }) => {
    await a.setClientInfo('s', null as never);
    expect(await b.getClientInfo('s')).toBeNull();
    await a.setClientInfo('s', undefined);
    await expect(b.getClientInfo('s')).rejects.toEqual(code('not-found'));
  },

  'info/copies: neither the value that was passed nor an answer is shared with the store': async ({ a }) => {
    const value = { name: 'before', version: '1' };
    const stored = a.setClientInfo('s', value);
    value.name = 'after';
    await stored;
    const answer = await a.getClientInfo('s');
    expect(answer).toMatchObject({ name: 'before' });
    Object.assign(answer ?? {}, { name: 'changed' });
    expect(await a.getClientInfo('s')).toMatchObject({ name: 'before' });
  },

  'info/not-json: a value that JSON cannot express is refused without harm': async ({ a, reported }) => {
    const circular: Record<string, unknown> = {};
    circular.self = circular;
    await expect(a.setClientCapabilities('s', circular)).rejects.toEqual(code('invalid-message'));
    expect(reported).toEqual(['invalid-message']);
  },

  'info/hostile-ids: ids are data, each its own session': async ({ a, b }) => {
    await Promise.all(HOSTILE_IDS.map((id, i) => a.setClientInfo(id, { name: id, version: String(i) })));
    await Promise.all(HOSTILE_IDS.map((id) => a.addSubscription(id, 'test://all')));
    for (const [i, id] of HOSTILE_IDS.entries()) {
      expect(await b.getClientInfo(id)).toEqual({ name: id, version: String(i) });
    }
    expect((await b.getSubscriptions('test://all')).sort()).toEqual([...HOSTILE_IDS].sort());
    await b.delete('a');
    await b.delete('%');
    await b.delete('*');
    const rest = HOSTILE_IDS.filter((id) => !['a', '%', '*'].includes(id));
    expect((await a.getSubscriptions('test://all')).sort()).toEqual([...rest].sort());
    for (const id of rest) expect(await a.getClientInfo(id)).toMatchObject({ name: id });
  },

  'info/refused-ids: other ids are refused: nothing is thrown, getters and setters reject, the rest is quiet': async ({
    a,
    reported,
  }) => {
    for (const id of REFUSED_IDS) {
      for (const call of [...setters(a, id), ...getters(a, id)])
        await expect(call()).rejects.toEqual(code('invalid-id'));
      await a.delete(id);
    }
    expect(reported).toEqual(Array.from({ length: REFUSED_IDS.length * 6 }, () => 'invalid-id'));
  },

  'info/nobody-awaits: a setter that fails throws nothing and leaves no unhandled rejection': async ({
    a,
    reported,
  }) => {
    for (const set of setters(a, 'a\0')) void set();
    void a.delete('a\0');
    await until(() => reported.length >= 6, 'every refusal to be reported');
    expect(reported).toHaveLength(6);
  },

  'info/side-by-side: many sessions on two processes do not mix': async ({ a, b }) => {
    const ids = Array.from({ length: 60 }, (_, i) => `session-${i}`);
    await Promise.all(ids.map((id, i) => (i % 2 ? a : b).setClientInfo(id, { name: id, version: '1' })));
    const infos = await Promise.all(ids.map((id, i) => (i % 2 ? b : a).getClientInfo(id)));
    expect(infos.map((info) => info?.name)).toEqual(ids);
  },
};
