import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { type Line, LocalLine } from './line.ts';
import type { Reported, StreamManager, StreamStats } from './stream-manager.ts';

/** So that what is measured is what is held. */
function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
}

/** A manager in this process or another one. */
export interface TestNode {
  open(session: string, lastEventId?: string): Line;
  publish(sessions: readonly string[] | undefined, frame: string): Promise<void>;
  has(session: string): Promise<boolean>;
  delete(session: string): Promise<void>;
  stats(): Promise<NodeFigures>;
  /** Codes of what was reported through `onError`, in order. */
  readonly reports: readonly string[];
  close(): Promise<void>;
}

export type NodeFigures = StreamStats & { readonly heapBytes: number };

/** What fault tests run with: a heartbeat that they need not wait for. */
export const QUICK: { readonly heartbeatMs: number } = { heartbeatMs: 500 };

/** A manager in this process. */
export class LocalNode<Manager extends StreamManager = StreamManager> implements TestNode {
  readonly manager: Manager;
  readonly reports: string[] = [];
  /** The same with their messages, for failures of tests. */
  readonly errors: unknown[] = [];

  constructor(
    make: (onError: (error: Reported) => void) => Manager,
    heard: (error: Reported) => void = () => undefined,
  ) {
    this.manager = make((error) => {
      this.reports.push(error.code);
      this.errors.push(error);
      heard(error);
    });
  }

  open(session: string, lastEventId?: string): Line {
    return new LocalLine(this.manager, session, lastEventId);
  }

  publish(sessions: readonly string[] | undefined, frame: string): Promise<void> {
    return this.manager.publish(sessions, frame);
  }

  has(session: string): Promise<boolean> {
    return this.manager.has(session);
  }

  delete(session: string): Promise<void> {
    return this.manager.delete(session);
  }

  async stats(): Promise<NodeFigures> {
    collectGarbage();
    return { ...this.manager.stats(), heapBytes: process.memoryUsage().heapUsed };
  }

  close(): Promise<void> {
    return this.manager.close();
  }
}
