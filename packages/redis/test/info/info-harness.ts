import type { SessionError } from '@tmcp/session-manager';
import { afterEach } from 'vitest';
import { RedisInfoSessionManager, type RedisInfoSessionManagerOptions } from '../../src/redis-info-session-manager.ts';

export const CLIENT = { name: 'client', version: '1.0.0' };

/** A manager that notes what it reports. */
export class TestedInfo extends RedisInfoSessionManager {
  readonly errors: SessionError[];

  constructor(options: RedisInfoSessionManagerOptions) {
    const errors: SessionError[] = [];
    super({ onError: (error) => errors.push(error), ...options });
    this.errors = errors;
  }

  get codes(): string[] {
    return this.errors.map(({ code }) => code);
  }
}

const opened: TestedInfo[] = [];

afterEach(async () => {
  await Promise.all(opened.splice(0).map((manager) => manager.close()));
});

/** Closed after the test. */
export function openInfo(options: RedisInfoSessionManagerOptions): TestedInfo {
  const manager = new TestedInfo(options);
  opened.push(manager);
  return manager;
}
