import type {
  AppendAnswer,
  Backplane,
  BackplaneListener,
  Batch,
  ControlOperation,
  Part,
  PartDraft,
} from '../../../packages/core/src/delivery/backplane.ts';

/** What a backplane told its node. */
export type Heard = {
  readonly parts: Part[];
  readonly wakes: (number | undefined)[];
  readonly events: string[];
  readonly errors: unknown[];
};

/** A node on the log. */
export type OpenNode = {
  readonly backplane: Backplane;
  readonly heard: Heard;
  readonly node: string;
};

/** Opens a node, in a namespace of its own unless it is given; the backend's tests close it. */
export type OpenNodes = (settings?: { namespace?: string; sessionTimeoutMs?: number }) => Promise<OpenNode>;

let counter = 0;

export function unique(prefix: string): string {
  counter += 1;
  return `${prefix}${counter}`;
}

export function listen(): Heard & { readonly listener: BackplaneListener } {
  const heard: Heard = { parts: [], wakes: [], events: [], errors: [] };
  return {
    ...heard,
    listener: {
      parts: (parts) => void heard.parts.push(...parts),
      wake: (head) => void heard.wakes.push(head),
      connected: () => void heard.events.push('connected'),
      disconnected: () => void heard.events.push('disconnected'),
      report: (error) => void heard.errors.push(error),
    },
  };
}

/** A frame for one session, as the engine writes it. */
export function frame(session: string, data: string): PartDraft {
  return part(JSON.stringify([[session, data.length]]), data);
}

export function part(head: string, data: string, count = 1): PartDraft {
  return { count, head, data, bytes: Buffer.byteLength(head) + Buffer.byteLength(data) };
}

/** An outbox that knows its numbers. */
export class Producer {
  readonly id: string = unique('producer');
  number = 0;
  readonly #target: OpenNode;
  #epoch: string | undefined;

  constructor(target: OpenNode) {
    this.#target = target;
  }

  async batch(
    parts: readonly PartDraft[],
    controls: readonly ControlOperation[] = [],
    change: Partial<Batch> = {},
  ): Promise<Batch> {
    this.#epoch ??= (await this.#target.backplane.beat({ node: this.#target.node, cursor: 0, check: 0 })).epoch;
    this.number += 1;
    const acknowledged = this.number - 1;
    const { node } = this.#target;
    return {
      epoch: this.#epoch,
      node,
      producer: this.id,
      number: this.number,
      acknowledged,
      parts,
      controls,
      ...change,
    };
  }

  async append(
    parts: readonly PartDraft[],
    controls: readonly ControlOperation[] = [],
    change: Partial<Batch> = {},
  ): Promise<Stored> {
    const answer = await this.#target.backplane.append(await this.batch(parts, controls, change));
    if (answer.state !== 'stored') throw new Error(`not stored: ${answer.state}`);
    return answer;
  }

  /** A batch of one control operation. */
  async control(operation: DistributiveOmit<ControlOperation, 'offset'>): Promise<Stored> {
    const { kind, session } = operation;
    return this.append(
      [part(JSON.stringify([{ k: kind[0], s: session }]), '')],
      [{ ...operation, offset: 1 } as ControlOperation],
    );
  }
}

export type Stored = Extract<AppendAnswer, { state: 'stored' }>;

type DistributiveOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;
