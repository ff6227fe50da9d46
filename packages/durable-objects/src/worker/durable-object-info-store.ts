import type { Age, InfoField, InfoRow, InfoStore } from '@tmcp/session-manager';
import { SessionError } from '@tmcp/session-manager';
import type { InfoShard, InfoWrite } from '../protocol.ts';
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
    return this.#call(id, (shard) => shard.setInfo({ type: 'set', field, json, ...this.#dated(id, age) }));
  }

  subscribe(id: string, uri: string, age: Age): Promise<void> {
    return this.#call(id, (shard) => shard.setInfo({ type: 'subscribe', uri, ...this.#dated(id, age) }));
  }

  unsubscribe(id: string, uri: string, age: Age): Promise<void> {
    return this.#call(id, (shard) => shard.setInfo({ type: 'unsubscribe', uri, ...this.#dated(id, age) }));
  }

  async subscribers(uri: string): Promise<string[]> {
    const all = this.#shards.all.map((shard) => callOnce(() => this.#stub(shard).subscribers(uri)));
    const answer = Promise.all(all);
    keepRunning(answer);
    return (await answer).flat();
  }

  delete(id: string, age: Age): Promise<void> {
    return this.#call(id, (shard) => shard.deleteInfo(id, age(), this.#ttlMs, Date.now()));
  }

  async check(): Promise<void> {
    const { sql } = await callOnce(() => this.#shards.stub(0).check());
    if (!sql) {
      throw new SessionError('schema-missing', 'the Durable Object class has no SQL; the README tells how to move');
    }
  }

  async close(): Promise<void> {}

  #dated(session: string, age: Age): Pick<InfoWrite, 'session' | 'ageMs' | 'sentAt' | 'ttlMs'> {
    return { session, ageMs: age(), sentAt: Date.now(), ttlMs: this.#ttlMs };
  }

  #call<T>(id: string, call: (shard: InfoShard) => Promise<T>): Promise<T> {
    const answer = callOnce(() => call(this.#stub(this.#shards.of(id))));
    keepRunning(answer);
    return answer;
  }

  #stub(shard: number): InfoShard {
    return this.#shards.stub(shard) as unknown as InfoShard;
  }
}
