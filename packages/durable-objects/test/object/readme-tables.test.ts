import { infoTtlRule } from '@tmcp/session-manager';
import { expect, test } from 'vitest';
import { Markdown } from '../../../../test-support/src/readme/markdown.ts';
import { knownOptions, optionRows, quotedInColumn } from '../../../../test-support/src/readme/tables.ts';
import core from '../../../core/README.md?raw';
import readme from '../../README.md?raw';
import * as exported from '../../src/index.ts';
import { deliveryAndShardRules } from '../../src/worker/options.ts';

const markdown = new Markdown(readme);
const owners = {
  streams: knownOptions((options) => new exported.DurableObjectStreamSessionManager(options)),
  subscriptions: knownOptions((options) => new exported.DurableObjectSubscriptionManager(options)),
  info: knownOptions((options) => new exported.DurableObjectInfoSessionManager(options)),
  kv: knownOptions((options) => new exported.KVInfoSessionManager(options)),
};
const rows = optionRows(markdown, Object.keys(owners));

test('readme/options: each is listed once, with those that know it', () => {
  const known = knownOptions((options) => exported.durableObjectSessions(options));
  expect(rows.map(({ name }) => name).sort()).toEqual(known.sort());
  for (const [owner, names] of Object.entries(owners)) {
    const listed = rows.filter((row) => row.owners.includes(owner)).map(({ name }) => name);
    expect(listed.sort(), owner).toEqual(names.sort());
  }
});

test('readme/defaults: are those of the code', () => {
  const rules: Readonly<Record<string, { readonly fallback: unknown }>> = {
    ...deliveryAndShardRules,
    infoTtlMs: infoTtlRule,
  };
  for (const { name, fallback } of rows.filter((row) => row.name !== 'onError')) {
    expect(fallback, name).toBe(String(rules[name]?.fallback ?? ''));
  }
});

test('readme/errors: each code of the core is listed once', () => {
  expect(quotedInColumn(markdown, 'Errors').sort()).toEqual(quotedInColumn(new Markdown(core), 'Errors').sort());
});

test('readme/exports: each value is listed once', () => {
  const listed = quotedInColumn(markdown, 'API').map((name) => name.replace('(options)', ''));
  expect(listed.filter((name) => /^[A-Za-z]+$/.test(name)).sort()).toEqual(Object.keys(exported).sort());
});
