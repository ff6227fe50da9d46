import type { Frame, LineState } from './line.ts';
import type { NodeFigures } from './test-node.ts';

/** What the parent asks of a node in another process. `call` numbers the question, `line` names a stream. */
export type Order =
  | {
      readonly order: 'open';
      readonly line: number;
      readonly session: string;
      readonly lastEventId?: string | undefined;
    }
  | { readonly order: 'cancel' | 'pause' | 'resume'; readonly line: number; readonly call: number }
  | {
      readonly order: 'publish';
      readonly call: number;
      readonly sessions: readonly string[] | null;
      readonly frame: string;
    }
  | { readonly order: 'has' | 'delete'; readonly call: number; readonly session: string }
  | { readonly order: 'stats' | 'close'; readonly call: number };

export type Failure = { readonly code: string; readonly message: string };

/** What the node tells its parent. */
export type Told =
  | { readonly told: 'ready'; readonly pid: number }
  | {
      readonly told: 'answer';
      readonly call: number;
      readonly value?: boolean | NodeFigures;
      readonly failure?: Failure;
    }
  | { readonly told: 'created'; readonly line: number; readonly failure?: Failure }
  | { readonly told: 'frame'; readonly line: number; readonly frame: Frame }
  | { readonly told: 'state'; readonly line: number; readonly state: LineState }
  | { readonly told: 'report'; readonly code: string; readonly message: string }
  | { readonly told: 'escaped'; readonly error: string };
