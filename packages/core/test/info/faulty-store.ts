import { InMemoryInfoStore } from '../../src/in-memory/in-memory-info-store.ts';
import type { Age, InfoField, InfoRow, InfoStore } from '../../src/info/info-store.ts';

export type Call = {
  readonly name: keyof InfoStore;
  readonly id?: string;
  /** When the backend believes that a write was called: its own clock less the age that it was told. */
  readonly calledAt?: number;
};

export function emptyStore(): InMemoryInfoStore {
  return new InMemoryInfoStore({ infoTtlMs: 1e9, maxInfoBytes: 1e9, onError: () => undefined });
}

/** A backend in this process that is as slow and as broken as a test wants. */
export class FaultyStore implements InfoStore {
  readonly calls: Call[] = [];
  readonly #store: InMemoryInfoStore;
  /** Runs before each call reaches the backend. */
  before: (call: Call) => Promise<unknown> | undefined = () => undefined;
  /** Runs before each answer reaches the manager. */
  after: (call: Call) => Promise<unknown> | undefined = () => undefined;

  /** @param store to share: what several processes see of one backend */
  constructor(store: InMemoryInfoStore = emptyStore()) {
    this.#store = store;
  }

  count(name: keyof InfoStore): number {
    return this.calls.filter((call) => call.name === name).length;
  }

  read(id: string): Promise<InfoRow> {
    return this.#run({ name: 'read', id }, () => this.#store.read(id));
  }

  write(id: string, field: InfoField, json: string, age: Age): Promise<void> {
    return this.#write('write', id, age, (told) => this.#store.write(id, field, json, told));
  }

  subscribe(id: string, uri: string, age: Age): Promise<void> {
    return this.#write('subscribe', id, age, (told) => this.#store.subscribe(id, uri, told));
  }

  unsubscribe(id: string, uri: string, age: Age): Promise<void> {
    return this.#write('unsubscribe', id, age, (told) => this.#store.unsubscribe(id, uri, told));
  }

  subscribers(uri: string): Promise<string[]> {
    return this.#run({ name: 'subscribers', id: uri }, () => this.#store.subscribers(uri));
  }

  delete(id: string, age: Age): Promise<void> {
    return this.#write('delete', id, age, (told) => this.#store.delete(id, told));
  }

  check(): Promise<void> {
    return this.#run({ name: 'check' }, () => this.#store.check());
  }

  close(): Promise<void> {
    return this.#run({ name: 'close' }, () => this.#store.close());
  }

  /** The age is told when the statement leaves, and subtracted when it arrives. */
  #write(name: keyof InfoStore, id: string, age: Age, apply: (told: Age) => Promise<void>): Promise<void> {
    const toldMs = age();
    return this.#run({ name, id }, async () => {
      this.calls[this.calls.length - 1] = { name, id, calledAt: performance.now() - toldMs };
      await apply(() => toldMs);
    });
  }

  async #run<T>(call: Call, apply: () => Promise<T>): Promise<T> {
    await this.before(call);
    this.calls.push(call);
    const answer = await apply();
    await this.after(call);
    return answer;
  }
}
