/** A method of a manager, called inside a Worker. */
export type Call = {
  /** `streams`, `info`, ... */
  readonly manager: string;
  readonly method: string;
  /** `null` for `undefined`. */
  readonly args: readonly unknown[];
  /** Waits for the calls before it. */
  readonly first?: 'wait';
};
