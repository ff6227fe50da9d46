import { randomId } from '../delivery/text.ts';
import type { InfoSessionManager } from '../info-session-manager.ts';
import type { ErrorHandler } from '../on-error.ts';
import type { CaseOptions } from './cases.ts';

/** What the suite needs of a manager beside the contract. */
export type TestedInfoSessionManager = InfoSessionManager & {
  close(): Promise<void>;
  health(): Promise<{ ok: boolean }>;
};

export type OpenInfoOptions = {
  /** A namespace of its own; managers that are opened without share one. */
  readonly namespace?: string;
  readonly infoTtlMs?: number;
  readonly onError: ErrorHandler;
};

/** One backend, fresh for each test: nothing is stored in its namespace. */
export type InfoBackend = {
  /** Makes a manager as another process would. A backend that is one process returns the same one for a namespace. */
  open(options: OpenInfoOptions): TestedInfoSessionManager;
  /** Removes what the test left behind, after all managers were closed. */
  cleanUp(): Promise<void>;
};

export type InfoSuite = CaseOptions & {
  /** Stands in front of the cases. */
  readonly name: string;
  /** `one` for a backend that lives and ends with one process. @default 'many' */
  readonly processes?: 'one' | 'many';
  readonly setUp: () => Promise<InfoBackend>;
};

/** What a case works with. */
export type InfoCase = {
  /** Two managers on one backend, as in two processes. */
  readonly a: TestedInfoSessionManager;
  readonly b: TestedInfoSessionManager;
  /** More of them. */
  open(options?: Omit<OpenInfoOptions, 'onError'>): TestedInfoSessionManager;
  /** Codes that were reported. */
  readonly reported: readonly string[];
};

/** Behaviour by stable id: `info/…: a sentence`. */
export type InfoCases = Readonly<Record<string, (test: InfoCase) => Promise<void>>>;

/** Runs a case on a backend of its own, and tidies up whatever happens. */
export async function withInfoBackend(
  setUp: InfoSuite['setUp'],
  run: (test: InfoCase) => Promise<void>,
): Promise<void> {
  const backend = await setUp();
  const opened: TestedInfoSessionManager[] = [];
  const reported: string[] = [];
  const open: InfoCase['open'] = (options = {}) => {
    const manager = backend.open({ ...options, onError: ({ code }) => reported.push(code) });
    opened.push(manager);
    return manager;
  };
  try {
    await run({ a: open(), b: open(), open, reported });
  } finally {
    await Promise.all(opened.map((manager) => manager.close()));
    await backend.cleanUp();
  }
}

/** Text that no compression makes shorter. */
export function randomText(length: number): string {
  const pieces = Array.from({ length: Math.ceil(length / 4_096) }, () => randomId(4_096));
  return pieces.join('').slice(0, length);
}

/** Ids that a store could take for something else than data, or for one another. */
export const HOSTILE_IDS: readonly string[] = [
  'a',
  'ab',
  'A',
  'a%',
  'a_',
  '%',
  '_',
  '*',
  'a*',
  'a:b',
  'a/b',
  '../a',
  'a b',
  ' a',
  'a ',
  "a'",
  "'; drop table tmcp_session_client_info; --",
  'a"b',
  'a\\',
  '\\x61',
  '$1',
  '{a}',
  '[a]',
  'null',
  '__proto__',
  'é',
  'e\u0301',
  '😀',
  '\u200b',
  '\uffff',
  'x'.repeat(1024),
  `${'x'.repeat(1023)}y`,
  '😀'.repeat(256),
];

/** Ids that no store could keep apart, or give back as they are. */
export const REFUSED_IDS: readonly string[] = [
  '',
  'x'.repeat(1025),
  'é'.repeat(513),
  'a\0b',
  'a\nb',
  '\x7f',
  '\x85',
  '\ud83d',
  'a\ude00b',
];
