import assert from 'node:assert/strict';
import type { SessionClient, TransportKind } from '../clients/session-client.ts';
import type { Cluster } from '../cluster.ts';
import type { OwnServer } from '../own-server.ts';

/** Where scenarios take place. */
export type World = {
  readonly cluster: Cluster;
  readonly server: OwnServer;
  readonly figures: Figures;
};

/** What was done and measured, for the summary. */
export type Figures = {
  notifications: number;
  /** Of these, how many came a second time. */
  repeats: number;
  brokenConnections: number;
  /** How long it took from the end of a process until its client heard the next notification. */
  readonly recoveries: { readonly how: 'killed' | 'stopped'; readonly transport: TransportKind; readonly ms: number }[];
};

export function noFigures(): Figures {
  return { notifications: 0, repeats: 0, brokenConnections: 0, recoveries: [] };
}

/**
 * Something that has to hold across processes, for a client of the session era.
 *
 * @returns what happened, in sentences
 * @throws what did not hold
 */
export type SessionScenario = (world: World, client: SessionClient) => Promise<string>;

/** For a promise that is awaited later, or not at all when something else fails first. */
export function inBackground<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}

export function milliseconds(from: number, to: number = performance.now()): number {
  return Math.round(to - from);
}

/** @throws unless the numbers are 1, 2, ... `count`; the message names the first that is not in its place */
export function assertInOrder(numbers: readonly number[], count: number): void {
  const wrong = numbers.findIndex((number, index) => number !== index + 1);
  if (wrong >= 0) assert.fail(`notification ${numbers[wrong]} came where ${wrong + 1} was due`);
  assert.equal(numbers.length, count, 'notifications are missing');
}
