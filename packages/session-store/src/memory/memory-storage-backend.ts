import { type BackendOptions, backendRules } from '../backend-options.ts';
import { option, readOptions } from '../options.ts';
import { SessionRepository } from '../session-repository.ts';
import { tableClock } from '../table/table-clock.ts';
import { MemoryDriver } from './memory-driver.ts';

export type MemoryStorageOptions = BackendOptions & {
  /** Milliseconds since 1970. @default `Date.now` */
  readonly now?: (() => number) | undefined;
};

/** Sessions in this process: for tests, and for programs whose sessions may end with them. */
export class MemoryStorageBackend extends SessionRepository {
  constructor(options: MemoryStorageOptions = {}) {
    const settings = readOptions(options, { ...backendRules, now: option.callback<() => number>() });
    const now = tableClock(settings.now);
    super((context) => new MemoryDriver(context, now), { ...settings, now });
  }
}
