import type { Backend, BackendName } from './backend.ts';
import { startPostgresBackend } from './postgres.ts';
import { startRedisBackend } from './redis.ts';

/** In the order in which they are measured. */
export const backendNames: readonly BackendName[] = ['postgres', 'redis'];

const START: Readonly<Record<BackendName, () => Promise<Backend>>> = {
  postgres: startPostgresBackend,
  redis: startRedisBackend,
};

/** The servers that the chosen benchmarks need, and no others. */
export class Backends implements AsyncDisposable {
  static async start(names: Iterable<BackendName>): Promise<Backends> {
    const started = new Map<BackendName, Backend>();
    const backends = new Backends(started);
    try {
      for (const name of names) started.set(name, await START[name]());
    } catch (error) {
      await backends[Symbol.asyncDispose]();
      throw error;
    }
    return backends;
  }

  readonly #started: ReadonlyMap<BackendName, Backend>;

  private constructor(started: ReadonlyMap<BackendName, Backend>) {
    this.#started = started;
  }

  get(name: BackendName): Backend {
    const backend = this.#started.get(name);
    if (!backend) throw new Error(`${name} was not started`);
    return backend;
  }

  /** What the figures depend on. */
  get description(): [string, string][] {
    return [...this.#started.values()].flatMap(({ description }) => [...description]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#started.values()].map((backend) => backend.stop()));
  }
}
