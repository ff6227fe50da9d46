import { expect } from 'vitest';
import type { ErrorHandler } from '../on-error.ts';
import type { Notification, SubscriptionManager } from '../subscription-manager.ts';
import { type CaseOptions, missing } from './cases.ts';
import { TestListener, type TestListenerOptions } from './test-listener.ts';

/** What the suite needs of a manager beside the contract. */
export type TestedSubscriptionManager = SubscriptionManager &
  AsyncDisposable & {
    publish(notification: Notification): Promise<void>;
    stats(): { readonly attached: number; readonly sent: number; readonly delivered: number };
    health(): Promise<{ ok: boolean }>;
    /** Shuts it down: every subscription ends with its result. */
    close(): Promise<void>;
  };

/** Options that a case sets; those left out have their defaults. */
export type OpenSubscriptionsOptions = {
  /** A namespace of its own; managers that are opened without share one. */
  readonly namespace?: string;
  readonly heartbeatMs?: number;
  readonly sendTimeoutMs?: number;
  readonly maxMessageBytes?: number;
  readonly maxStreamBufferBytes?: number;
};

/** One backend, fresh for each test: nothing is stored in its namespaces. */
export type SubscriptionBackend = {
  /** Makes a manager as another process would. */
  open(options: OpenSubscriptionsOptions & { readonly onError: ErrorHandler }): TestedSubscriptionManager;
  /**
   * Breaks the log of the namespace that managers without one share, so that nobody can prove that nothing is missing.
   * Without it the cases about that fail: name them in `without`.
   */
  readonly breakContinuity?: (() => Promise<void>) | undefined;
  /** Removes what the test left behind, after all managers were closed. */
  cleanUp(): Promise<void>;
};

export type SubscriptionSuite = CaseOptions & {
  /** Stands in front of the cases. */
  readonly name: string;
  readonly setUp: () => Promise<SubscriptionBackend>;
};

/** What a case works with. */
export type SubscriptionCase = {
  /** Two managers on one backend, as in two processes. */
  readonly a: TestedSubscriptionManager;
  readonly b: TestedSubscriptionManager;
  /** More of them. */
  open(options?: OpenSubscriptionsOptions): TestedSubscriptionManager;
  breakContinuity(): Promise<void>;
  /** A `subscriptions/listen` stream; id and origin are new unless they are given. */
  listener(options?: TestListenerOptions): TestListener;
  /** The codes that were reported since the last call. What a case leaves here fails it. */
  takeReports(): string[];
};

/** Behaviour by stable id: `subscriptions/…: a sentence`. */
export type SubscriptionCases = Readonly<Record<string, (test: SubscriptionCase) => Promise<void>>>;

/** Runs a case on a backend of its own, and tidies up whatever happens. */
export async function withSubscriptionBackend(
  setUp: SubscriptionSuite['setUp'],
  run: (test: SubscriptionCase) => Promise<void>,
): Promise<void> {
  const backend = await setUp();
  const opened: TestedSubscriptionManager[] = [];
  const reports: string[] = [];
  const open: SubscriptionCase['open'] = (options) => {
    const manager = backend.open({ ...options, onError: ({ code }) => reports.push(code) });
    opened.push(manager);
    return manager;
  };
  try {
    await run({
      a: open(),
      b: open(),
      open,
      breakContinuity: async () => {
        if (!backend.breakContinuity) throw missing('breakContinuity');
        await backend.breakContinuity();
      },
      listener: (options) => new TestListener(options),
      takeReports: () => reports.splice(0),
    });
    expect(reports, 'nothing else was reported').toEqual([]);
  } finally {
    await Promise.all(opened.map((manager) => manager.close()));
    await backend.cleanUp();
  }
}
