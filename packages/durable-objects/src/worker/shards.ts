import { env } from 'cloudflare:workers';
import { SessionError } from '@tmcp/session-manager';
import { hash } from '../hash.ts';
import type { Shard } from '../protocol.ts';

/** A binding by its name in the Worker's configuration, or the namespace itself. */
export type ObjectBinding = string | DurableObjectNamespace;

export type ShardsOptions = {
  readonly binding: ObjectBinding;
  readonly namespace: string;
  readonly shards: number;
  readonly locationHint: DurableObjectLocationHint | undefined;
  readonly jurisdiction: DurableObjectJurisdiction | undefined;
};

export type ShardStub = Shard & { fetch(url: string, init: RequestInit): Promise<Response> };

/** The shards of one namespace. Nothing is looked up before the first call: managers are made at module scope. */
export class Shards {
  readonly #options: ShardsOptions;

  constructor(options: ShardsOptions) {
    this.#options = options;
  }

  get count(): number {
    return this.#options.shards;
  }

  get all(): number[] {
    return Array.from({ length: this.count }, (_, shard) => shard);
  }

  /** The shard of a session, or of whatever else has an id. */
  of(id: string): number {
    return hash(id) % this.count;
  }

  /** A fresh stub: it works in the request that asks for it, and only until a call on it fails. */
  stub(shard: number): ShardStub {
    const { shards, namespace, locationHint } = this.#options;
    const objects = this.#objects();
    const id = objects.idFromName(`v2/${shards}/${shard}/${namespace}`);
    return objects.get(id, locationHint === undefined ? {} : { locationHint }) as unknown as ShardStub;
  }

  #objects(): DurableObjectNamespace {
    const { binding, jurisdiction } = this.#options;
    const objects = typeof binding === 'string' ? (env as unknown as Record<string, unknown>)[binding] : binding;
    if (!isNamespace(objects)) {
      throw new SessionError(
        'configuration',
        'the Durable Object binding of the session managers is missing; add it to the configuration of the Worker, or name it in "binding"',
      );
    }
    return jurisdiction === undefined ? objects : objects.jurisdiction(jurisdiction);
  }
}

function isNamespace(value: unknown): value is DurableObjectNamespace {
  return typeof value === 'object' && value !== null && 'idFromName' in value;
}
