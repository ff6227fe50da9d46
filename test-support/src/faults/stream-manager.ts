/** What fault tests use of a manager of streams, whatever its backend. */
export interface StreamManager {
  create(
    session: string,
    controller: ReadableStreamDefaultController<Uint8Array>,
    options?: { readonly lastEventId?: string | undefined },
  ): void | Promise<void>;
  /** `publish` that reports instead of rejecting. */
  send(sessions: readonly string[] | undefined, frame: string): void | Promise<void>;
  publish(sessions: readonly string[] | undefined, frame: string): Promise<void>;
  has(session: string): Promise<boolean>;
  delete(session: string): Promise<void>;
  stats(): StreamStats;
  health(): Promise<Health>;
  close(): Promise<void>;
}

/** What a readiness probe answers. */
export type Health = {
  readonly ok: boolean;
  readonly error: Reported | undefined;
  readonly warnings: readonly Reported[];
};

export type StreamStats = {
  readonly state: string;
  readonly attached: number;
  readonly discontinuities: number;
  readonly notResumed: number;
  readonly backlogBytes: number;
  readonly lag: number;
  readonly cursor: number;
  readonly delivered: number;
};

/** What a manager gave to its `onError`. */
export type Reported = { readonly code: string; readonly message: string };
