import type { Age, InfoField, InfoRow, InfoStore } from '@tmcp/session-manager';
import { SessionError } from '@tmcp/session-manager';
import type { InfoShard } from '../protocol.ts';
import { callOnce } from './calls.ts';
import { keepRunning } from './request.ts';
import type { Shards } from './shards.ts';

/** Session info in the shard of its session; one call per read or write, one per shard for the subscribers of a URI. */
export class DurableObjectInfoStore implements InfoStore {
  readonly #shards: Shards;
  readonly #ttlMs: number;

  constructor(shards: Shards, ttlMs: number) {
    this.#shards = shards;
    this.#ttlMs = ttlMs;
  }

  read(id: string): Promise<InfoRow> {
    return this.#call(id, (shard) => shard.getInfo(id, this.#ttlMs));
  }

  write(id: string, field: InfoField, json: string, age: Age): Promise<void> {
    const ttlMs = this.#ttlMs;
    return this.#call(id, (shard) => shard.setInfo({ type: 'set', session: id, field, json, ageMs: age(), ttlMs }));
  }

  subscribe(id: string, uri: string, age: Age): Promise<void> {
    const ttlMs = this.#ttlMs;
    return this.#call(id, (shard) => shard.setInfo({ type: 'subscribe', session: id, uri, ageMs: age(), ttlMs }));
  }

  unsubscribe(id: string, uri: string, age: Age): Promise<void> {
    const ttlMs = this.#ttlMs;
    return this.#call(id, (shard) => shard.setInfo({ type: 'unsubscribe', session: id, uri, ageMs: age(), ttlMs }));
  }

  async subscribers(uri: string): Promise<string[]> {
    const all = this.#shards.all.map((shard) => callOnce(() => this.#stub(shard).subscribers(uri)));
    const answer = Promise.all(all);
    keepRunning(answer);
    return (await answer).flat();
  }

  delete(id: string, age: Age): Promise<void> {
    return this.#call(id, (shard) => shard.deleteInfo(id, age(), this.#ttlMs));
  }

  async check(): Promise<void> {
    const { sql } = await callOnce(() => this.#shards.stub(0).check());
    if (!sql) {
      throw new SessionError('schema-missing', 'the Durable Object class has no SQL; the README tells how to move');
    }
  }

  async close(): Promise<void> {}

  #call<T>(id: string, call: (shard: InfoShard) => Promise<T>): Promise<T> {
    const answer = callOnce(() => call(this.#stub(this.#shards.of(id))));
    keepRunning(answer);
    return answer;
  }

  #stub(shard: number): InfoShard {
    return this.#shards.stub(shard) as unknown as InfoShard;
  }
}
