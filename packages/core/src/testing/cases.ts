import { describe, it } from 'vitest';

/** How the cases of a suite are run. Every suite has these options. */
export type CaseOptions = {
  /**
   * Ids of cases that this backend cannot take part in, such as `streams/death-has`: they are not registered at all.
   * Say beside each why. An id that the suite does not have is an error: the list never outlives its cases.
   *
   * @default []
   */
  readonly without?: readonly string[] | undefined;
  /**
   * Runs several cases at the same time, for many of them only wait. For backends whose cases share nothing that one of
   * them breaks: a server that is slow to all, a proxy that refuses everybody's connections.
   *
   * @default false
   */
  readonly concurrent?: boolean | undefined;
};

/** Long enough for a busy machine. */
const CASE_TIMEOUT_MS = 30_000;

/**
 * Registers cases with vitest.
 *
 * @param suite its name, in front of the cases
 * @param cases by title: id, colon, sentence
 * @throws Error where `without` names an id that is none of them
 */
export function registerCases<T>(
  suite: string,
  cases: Readonly<Record<string, T>>,
  { without, concurrent = false }: CaseOptions,
  run: (one: T) => Promise<void>,
): void {
  const selected = selectedCases(suite, cases, without);
  describe(suite, { concurrent }, () => {
    for (const [title, one] of selected) it(title, { timeout: CASE_TIMEOUT_MS }, () => run(one));
  });
}

/**
 * The cases that remain, by title. @throws Error where `without` names an id that is none of them
 *
 * @param suite stands in front of the message
 * @param cases by title: id, colon, sentence
 * @param without ids
 */
export function selectedCases<T>(
  suite: string,
  cases: Readonly<Record<string, T>>,
  without: CaseOptions['without'] = [],
): [title: string, run: T][] {
  const left = new Set(without);
  const selected = Object.entries(cases).filter(([title]) => !left.delete(idOf(title)));
  if (left.size > 0) {
    throw new Error(`${suite}: "without" names cases that the suite does not have: ${[...left].join(', ')}`);
  }
  return selected;
}

/** What a case says that needs something that its backend does not give. */
export function missing(what: string): Error {
  return new Error(`this backend gives no "${what}": give it, or name this case in "without" of the suite`);
}

function idOf(title: string): string {
  return title.slice(0, title.indexOf(':'));
}
