import { afterEach, expect, it, vi } from 'vitest';
import { requireService, type Service } from '../src/index.ts';

const absent: Service<string> = { name: 'A clock', install: 'apt-get install -y clock', find: () => undefined };

afterEach(() => {
  vi.unstubAllEnvs();
});

it('service/optional: a missing service is no error where tests may be skipped', () => {
  vi.stubEnv('REQUIRE_ALL_SERVICES', '');
  expect(requireService(absent)).toBeUndefined();
});

it('service/required: a missing service is an error that names the remedy where nothing may be skipped', () => {
  vi.stubEnv('REQUIRE_ALL_SERVICES', '1');
  expect(() => requireService(absent)).toThrow('A clock is missing; install it with: apt-get install -y clock');
});
