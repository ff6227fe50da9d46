import { type BackendOptions, backendRules } from '../backend-options.ts';
import { option, readOptions } from '../options.ts';
import { configError } from '../session-errors.ts';
import { SessionRepository } from '../session-repository.ts';
import { tableClock } from '../table/table-clock.ts';
import { FileDriver } from './file-driver.ts';

export type FileStorageOptions = BackendOptions & {
  /** Of the session file. It and its folder are made when they do not exist, for the eyes of this user only. */
  readonly path: string;
  /** Milliseconds since 1970. @default `Date.now` */
  readonly now?: (() => number) | undefined;
};

/**
 * Sessions in one JSON file, which many processes of one machine may use. Every change writes the whole file, so it is
 * for hundreds of sessions, not for millions. Not for network file systems.
 */
export class FileStorageBackend extends SessionRepository {
  /** @throws SessionStoreError `config` */
  constructor(options: FileStorageOptions) {
    const settings = readOptions(options, {
      ...backendRules,
      path: option.text(undefined),
      now: option.callback<() => number>(),
    });
    const { path } = settings;
    const now = tableClock(settings.now);
    if (path === undefined) throw configError('Option path must be text that is not empty');
    super((context) => new FileDriver(path, context, now), { ...settings, now });
  }
}
