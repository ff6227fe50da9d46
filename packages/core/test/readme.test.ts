import { readFileSync } from 'node:fs';
import {
  describeReadme,
  initialize,
  knownOptions,
  Markdown,
  optionRows,
  quotedInColumn,
  resumes,
  saysHello,
} from 'test-support/readme';
import { describe, expect, it } from 'vitest';
import * as exported from '../src/index.ts';
import {
  deliveryRules,
  InMemoryInfoSessionManager,
  InMemoryStreamSessionManager,
  InMemorySubscriptionManager,
  infoTtlRule,
  type SessionErrorCode,
} from '../src/index.ts';
import * as testing from '../src/testing/index.ts';

const README = new URL('../README.md', import.meta.url);
const markdown = new Markdown(readFileSync(README, 'utf8'));

describeReadme({
  readme: README,
  servers: {
    'Set-up': saysHello,
    'HTTP and SSE together': async ({ url }) => void (await initialize(`${url}/mcp`)),
    'Resume with Last-Event-ID': resumes,
  },
  // One case of each suite: all of them run for the in-memory managers anyway.
  filter: 'streams/takeover-newest-wins|subscriptions/filters|info/other-process',
  commands: {
    'npm install ': (command) => {
      expect(command.split(' ').slice(2)).toEqual(['@tmcp/session-manager', 'tmcp', '@tmcp/transport-http']);
    },
  },
});

describe('tables of the README', () => {
  const owners = {
    streams: knownOptions((options) => new InMemoryStreamSessionManager(options)),
    subscriptions: knownOptions((options) => new InMemorySubscriptionManager(options)),
    info: knownOptions((options) => new InMemoryInfoSessionManager(options)),
  };
  const rows = optionRows(markdown, Object.keys(owners));

  it('options: each is listed once, with those that know it', () => {
    expect(rows.map(({ name }) => name).sort()).toEqual([...new Set(Object.values(owners).flat())].sort());
    for (const [owner, names] of Object.entries(owners)) {
      const listed = rows.filter((row) => row.owners.includes(owner)).map(({ name }) => name);
      expect(listed.sort(), owner).toEqual(names.sort());
    }
  });

  it('options: defaults are those of the code', () => {
    const MiB = 1024 * 1024;
    const defaults: Record<string, unknown> = {
      ...Object.fromEntries(Object.entries(deliveryRules).map(([name, { fallback }]) => [name, fallback])),
      namespace: 'default',
      maxLogBytes: 16 * MiB,
      infoTtlMs: infoTtlRule.fallback,
      maxInfoBytes: 64 * MiB,
    };
    for (const { name, fallback } of rows.filter((row) => row.name !== 'hub' && row.name !== 'onError')) {
      expect(fallback, name).toBe(String(defaults[name]));
    }
  });

  it('errors: each code is listed once', () => {
    const codes = {
      'invalid-option': true,
      'invalid-id': true,
      'invalid-message': true,
      'message-too-large': true,
      'outbox-full': true,
      timeout: true,
      unavailable: true,
      refused: true,
      'schema-missing': true,
      configuration: true,
      closed: true,
      'not-found': true,
      discontinuity: true,
      'not-resumed': true,
      'slow-reader': true,
      evicted: true,
      'callback-failed': true,
    } satisfies Record<SessionErrorCode, true>;
    expect(quotedInColumn(markdown, 'Errors').sort()).toEqual(Object.keys(codes).sort());
  });

  it('counters: each is explained', async () => {
    const managers = [
      new InMemoryStreamSessionManager(),
      new InMemorySubscriptionManager(),
      new InMemoryInfoSessionManager(),
    ];
    const counters = new Set(managers.flatMap((manager) => Object.keys(manager.stats())));
    for (const manager of managers) await manager.close();
    expect(quotedInColumn(markdown, 'Operations').sort()).toEqual([...counters].sort());
  });

  it('exports: each value is listed once', () => {
    expect(quotedInColumn(markdown, 'Exports').sort()).toEqual(Object.keys(exported).sort());
    const text = readFileSync(README, 'utf8');
    expect(Object.keys(testing).filter((name) => !text.includes(`\`${name}\``))).toEqual([]);
  });
});
