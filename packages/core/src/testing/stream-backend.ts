import { expect } from 'vitest';
import type { ErrorHandler } from '../on-error.ts';
import type { StreamSessionManager } from '../stream-session-manager.ts';
import { type CaseOptions, missing } from './cases.ts';
import { TestClient } from './test-client.ts';

/** What the suite needs of a manager beside the contract. */
export type TestedStreamSessionManager = StreamSessionManager &
  AsyncDisposable & {
    publish(sessions: readonly string[] | undefined, data: string): Promise<void>;
    stats(): TestedStreamStats;
    health(): Promise<{ ok: boolean }>;
    close(): Promise<void>;
  };

export type TestedStreamStats = {
  readonly attached: number;
  readonly sent: number;
  readonly delivered: number;
  readonly replayed: number;
  readonly discontinuities: number;
  readonly backlogBytes: number;
  readonly lag: number;
};

/** Options that a case sets; those left out have their defaults. */
export type OpenStreamsOptions = {
  /** A namespace of its own; managers that are opened without share one. */
  readonly namespace?: string;
  readonly sessionTimeoutMs?: number;
  readonly heartbeatMs?: number;
  readonly resumeWindowMs?: number;
  readonly maxLogBytes?: number;
  readonly maxMessageBytes?: number;
  readonly keepAliveMs?: number;
  readonly sendTimeoutMs?: number;
  readonly maxStreamBufferBytes?: number;
  readonly maxOutboxBytes?: number;
  readonly eventIds?: boolean;
};

/** A manager in a process that dies without a word: nothing is flushed, released or said. */
export type MortalStreams = { readonly manager: TestedStreamSessionManager; kill(): Promise<void> };

type Open<T> = (options: OpenStreamsOptions & { readonly onError: ErrorHandler }) => T;

/** One backend, fresh for each test: nothing is stored in its namespaces. */
export type StreamBackend = {
  /** Makes a manager as another process would. */
  readonly open: Open<TestedStreamSessionManager>;
  /** The same, in a process that will die. Without it the cases about dead processes (`streams/death-…`) fail: name them in `without`. */
  readonly openMortal?: Open<MortalStreams> | undefined;
  /**
   * Breaks the log of the namespace that managers without one share, so that nobody can prove that nothing is missing.
   * Without it the cases about that (`streams/discontinuity…`) fail: name them in `without`.
   */
  readonly breakContinuity?: (() => Promise<void>) | undefined;
  /** Removes what the test left behind, after all managers were closed. */
  cleanUp(): Promise<void>;
};

export type StreamSuite = CaseOptions & {
  /** Stands in front of the cases. */
  readonly name: string;
  readonly setUp: () => Promise<StreamBackend>;
};

/** What a case works with. */
export type StreamCase = {
  /** Two managers on one backend, as in two processes. */
  readonly a: TestedStreamSessionManager;
  readonly b: TestedStreamSessionManager;
  /** More of them. */
  open(options?: OpenStreamsOptions): TestedStreamSessionManager;
  openMortal(options?: OpenStreamsOptions): MortalStreams;
  breakContinuity(): Promise<void>;
  /** A client; its session id is new unless it is given. */
  client(session?: string): TestClient;
  /** The codes that were reported since the last call. What a case leaves here fails it. */
  takeReports(): string[];
};

/** Behaviour by stable id: `streams/…: a sentence`. */
export type StreamCases = Readonly<Record<string, (test: StreamCase) => Promise<void>>>;

/** Runs a case on a backend of its own, and tidies up whatever happens. */
export async function withStreamBackend(
  setUp: StreamSuite['setUp'],
  run: (test: StreamCase) => Promise<void>,
): Promise<void> {
  const backend = await setUp();
  const opened: TestedStreamSessionManager[] = [];
  let reports: string[] = [];
  let clients = 0;
  const keep = <T extends TestedStreamSessionManager>(manager: T): T => {
    opened.push(manager);
    return manager;
  };
  const onError: ErrorHandler = ({ code }) => reports.push(code);
  const test: Omit<StreamCase, 'a' | 'b'> = {
    open: (options) => keep(backend.open({ ...options, onError })),
    openMortal: (options) => {
      if (!backend.openMortal) throw missing('openMortal');
      // What a dying process has to say is no matter.
      const mortal = backend.openMortal({ ...options, onError: () => undefined });
      keep(mortal.manager);
      return mortal;
    },
    client: (session) => {
      clients += 1;
      return new TestClient(session ?? `session-${clients}`);
    },
    takeReports: () => reports.splice(0),
    breakContinuity: async () => {
      if (!backend.breakContinuity) throw missing('breakContinuity');
      await backend.breakContinuity();
    },
  };
  try {
    await run({ ...test, a: test.open(), b: test.open() });
    expect(reports, 'nothing else was reported').toEqual([]);
  } finally {
    reports = [];
    await Promise.all(opened.map((manager) => manager.close()));
    await backend.cleanUp();
  }
}
