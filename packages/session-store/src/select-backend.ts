import { configError } from './session-errors.ts';

/** Value of a variable of the environment, `undefined` when it is empty or not set. */
export type ReadVariable = (name: string) => string | undefined;

export type BackendChoice =
  | { readonly backend: 'memory' }
  | { readonly backend: 'file'; readonly path: string }
  | { readonly backend: 'redis'; readonly url: string }
  /** `variable` is where the URL came from. */
  | { readonly backend: 'neon'; readonly url: string; readonly variable: string };

type BackendName = BackendChoice['backend'];

const CHOICES = 'use memory, file, redis or neon';
const UNSUPPORTED: ReadonlySet<string> = new Set(['sqlite', 'supabase']);
/** Anything else may be a URL that was put into the wrong variable. */
const PLAIN_WORD = /^[A-Za-z0-9_-]{1,32}$/;

/** Which variable makes a backend detected, the strongest first. */
const DETECTED_BY: readonly (readonly [BackendName, string])[] = [
  ['redis', 'REDIS_URL'],
  ['neon', 'NEON_DATABASE_URL'],
  ['file', 'MCP_TS_STORAGE_FILE'],
];

/**
 * Which backend the environment asks for. Memory is taken only where nothing is configured: a backend that was asked
 * for and cannot be had is an error, never a reason to keep sessions somewhere else.
 *
 * @throws SessionStoreError `config`
 */
export function selectBackend(read: ReadVariable, warn: (message: string) => void): BackendChoice {
  const type = read('MCP_TS_STORAGE_TYPE');
  if (type !== undefined) return choose(asBackend(type), read);
  const detected = DETECTED_BY.filter(([, variable]) => read(variable) !== undefined).map(([backend]) => backend);
  const [first] = detected;
  if (first !== undefined) {
    if (detected.length > 1) warn(`Several storage backends are configured (${detected.join(', ')}): using ${first}`);
    return choose(first, read);
  }
  if (read('MCP_TS_STORAGE_SQLITE_PATH') !== undefined) {
    throw configError(`MCP_TS_STORAGE_SQLITE_PATH is not supported: ${CHOICES}`);
  }
  if (read('SUPABASE_URL') !== undefined) warn('SUPABASE_URL does not select a storage backend: using memory');
  return { backend: 'memory' };
}

function asBackend(type: string): BackendName {
  if (type === 'memory' || type === 'file' || type === 'redis' || type === 'neon') return type;
  if (UNSUPPORTED.has(type)) throw configError(`MCP_TS_STORAGE_TYPE=${type} is not supported: ${CHOICES}`);
  const shown = PLAIN_WORD.test(type) ? `"${type}"` : '(not shown)';
  throw configError(`Unknown MCP_TS_STORAGE_TYPE ${shown}: ${CHOICES}`);
}

function choose(backend: BackendName, read: ReadVariable): BackendChoice {
  switch (backend) {
    case 'memory':
      return { backend };
    case 'file': {
      const path = read('MCP_TS_STORAGE_FILE');
      if (path === undefined) throw configError('MCP_TS_STORAGE_TYPE=file needs MCP_TS_STORAGE_FILE');
      return { backend, path };
    }
    case 'redis': {
      const url = read('REDIS_URL');
      if (url === undefined) throw configError('MCP_TS_STORAGE_TYPE=redis needs REDIS_URL');
      assertUrl('REDIS_URL', url, 'redis', ['redis:', 'rediss:']);
      return { backend, url };
    }
    case 'neon':
      return chooseNeon(read);
  }
}

function chooseNeon(read: ReadVariable): BackendChoice {
  // The second belongs to the application: it counts only where the type says that sessions belong there as well.
  const variable = ['NEON_DATABASE_URL', 'DATABASE_URL'].find((name) => read(name) !== undefined);
  const url = variable === undefined ? undefined : read(variable);
  if (variable === undefined || url === undefined) {
    throw configError('MCP_TS_STORAGE_TYPE=neon needs NEON_DATABASE_URL or DATABASE_URL');
  }
  assertUrl(variable, url, 'postgresql', ['postgresql:', 'postgres:']);
  return { backend: 'neon', url, variable };
}

function assertUrl(variable: string, value: string, kind: string, protocols: readonly string[]): void {
  const url = URL.canParse(value) ? new URL(value) : undefined;
  if (url === undefined || !protocols.includes(url.protocol) || url.hostname === '') {
    throw configError(`${variable} is not a valid ${kind} URL`);
  }
}
