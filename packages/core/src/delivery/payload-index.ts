import { type Entries, EVERYONE, isPayload, type PayloadItem, SUBSCRIPTIONS } from './entries.ts';

/** A payload and where it lies. */
export type PayloadAt = {
  readonly position: number;
  readonly item: PayloadItem;
  /** Where its text begins in the data of its part. */
  readonly offset: number;
};

type PayloadIndex = {
  readonly forEveryone: readonly PayloadAt[];
  readonly bySession: ReadonlyMap<string, readonly PayloadAt[]>;
};

const indexes = new WeakMap<Entries, PayloadIndex>();
const NONE: readonly PayloadAt[] = [];

/** The payloads of a part that are addressed to a session, in order. Many streams that replay ask the same part. */
export function payloadsFor(part: Entries, session: string): readonly PayloadAt[] {
  let index = indexes.get(part);
  if (!index) {
    index = indexPayloads(part);
    indexes.set(part, index);
  }
  const { forEveryone, bySession } = index;
  const own = bySession.get(session);
  if (!own) return forEveryone;
  if (forEveryone.length === 0) return own;
  return [...own, ...forEveryone].sort((a, b) => a.position - b.position);
}

function indexPayloads({ base, items }: Entries): PayloadIndex {
  const forEveryone: PayloadAt[] = [];
  const bySession = new Map<string, PayloadAt[]>();
  let position = base;
  let offset = 0;
  for (const item of items) {
    position += 1;
    if (!isPayload(item)) continue;
    const [to, length] = item;
    const at = { position, item, offset };
    offset += length;
    if (to === EVERYONE) {
      forEveryone.push(at);
    } else if (to !== SUBSCRIPTIONS) {
      for (const session of typeof to === 'string' ? [to] : to) {
        const known = bySession.get(session);
        if (known) known.push(at);
        else bySession.set(session, [at]);
      }
    }
  }
  return { forEveryone: forEveryone.length > 0 ? forEveryone : NONE, bySession };
}
