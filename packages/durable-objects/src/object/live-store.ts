import type { Release, ShardBatch } from '../protocol.ts';
import type { Appended, ClaimOutcome, Expired, ResumeOutcome, ShardStore } from './shard-store.ts';

/**
 * What is left where the class was deployed with `new_classes`, which can never use SQL: who holds a session, in memory.
 * Messages go to streams that are open at that moment; nothing is stored, there are no event ids, and nothing resumes.
 */
export class LiveStore implements ShardStore {
  readonly kept = false;
  readonly epoch = '';
  readonly head = 0;
  readonly expiryMs = 60_000;

  configure(): void {}

  append({ messages }: ShardBatch): readonly Appended[] {
    return messages.map((message) => ({ ...message, seq: 0 }));
  }

  page(): { readonly entries: readonly []; readonly last: true } {
    return { entries: [], last: true };
  }

  trimmedFor(): number {
    return 0;
  }

  claim(_session: string, _claim: string, lastEventId: string | undefined): ClaimOutcome {
    return { begin: { epoch: '', after: 0, resumed: lastEventId === undefined } };
  }

  resume(): ResumeOutcome {
    return 'gap';
  }

  loseTrack(): void {}

  canFollow(): boolean {
    return false;
  }

  release(_release: Release): undefined {}

  lost(): void {}

  giveUp(): undefined {}

  predecessor(): undefined {}

  holder(): undefined {}

  end(): boolean {
    return true;
  }

  expire(): Expired {
    return { isLeft: false, isAwaited: false };
  }
}
