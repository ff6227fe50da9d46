import { waitFor } from 'test-support';

export type Received = {
  readonly method: string;
  readonly params: Record<string, unknown>;
  /** `performance.now()` */
  readonly at: number;
};

/** Every notification that a client received, in the order in which they came. */
export class Inbox {
  readonly all: Received[] = [];

  add({
    method,
    params = {},
  }: {
    readonly method: string;
    readonly params?: Record<string, unknown> | undefined;
  }): void {
    this.all.push({ method, params, at: performance.now() });
  }

  /** What comes from now on. */
  fromNow(): Heard {
    return new Heard(this.all, this.all.length);
  }
}

/** What came after a certain moment. */
export class Heard {
  readonly #all: readonly Received[];
  readonly #start: number;

  constructor(all: readonly Received[], start: number) {
    this.#all = all;
    this.#start = start;
  }

  of(method: string): Received[] {
    return this.#all.slice(this.#start).filter((received) => received.method === method);
  }

  /** Waits for the first one. */
  first(method: string): Promise<Received> {
    return waitFor(() => this.of(method)[0], { message: `a ${method}`, intervalMs: 1 });
  }

  /** The numbers that the tool `notify-me` sent under a label, in the order in which they came. */
  numbers(label: string): number[] {
    return this.of('notifications/message')
      .map(({ params }) => params.data as { readonly label?: string; readonly number?: number })
      .flatMap((data) => (data.label === label && data.number !== undefined ? [data.number] : []));
  }
}
