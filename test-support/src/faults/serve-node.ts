import { type Line, LocalLine } from './line.ts';
import type { Reported, StreamManager } from './stream-manager.ts';
import { LocalNode } from './test-node.ts';
import type { Failure, Order, Told } from './wire.ts';

/**
 * Makes this process a node: one manager, and the streams that the parent opens on it. Tells each frame the moment it is read.
 *
 * @param make is given the options that the parent has passed to `RemoteNode.start`
 */
export function serveNode<Options>(
  make: (options: Options, onError: (error: Reported) => void) => StreamManager,
): void {
  const [, , options = '{}'] = process.argv;
  const lines = new Map<number, Line>();
  const node = new LocalNode(
    (onError) => make(JSON.parse(options) as Options, onError),
    ({ code, message }) => tell({ told: 'report', code, message }),
  );

  process.on('unhandledRejection', (reason) => tell({ told: 'escaped', error: stackOf(reason) }));
  process.on('uncaughtException', (error) => tell({ told: 'escaped', error: stackOf(error) }));
  process.on('message', (order: Order) => void carryOut(node, lines, order));
  // Without its parent it has nothing to do.
  process.on('disconnect', () => process.exit());
  tell({ told: 'ready', pid: process.pid });
}

function tell(told: Told): void {
  if (process.connected) process.send?.(told);
}

async function carryOut(node: LocalNode, lines: Map<number, Line>, order: Order): Promise<void> {
  if (order.order === 'open') return open(node, lines, order);
  try {
    tell({ told: 'answer', call: order.call, ...answerOf(await answer(node, lines, order)) });
  } catch (error) {
    tell({ told: 'answer', call: order.call, failure: failureOf(error) });
  }
}

function answerOf(value: unknown): { value?: boolean } {
  return value === undefined ? {} : { value: value as boolean };
}

function answer(node: LocalNode, lines: ReadonlyMap<number, Line>, order: Exclude<Order, { order: 'open' }>): unknown {
  switch (order.order) {
    case 'publish':
      return node.publish(order.sessions ?? undefined, order.frame);
    case 'has':
      return node.has(order.session);
    case 'delete':
      return node.delete(order.session);
    case 'stats':
      return node.stats();
    case 'close':
      return node.close();
    default:
      return lines.get(order.line)?.[order.order]();
  }
}

function open(
  node: LocalNode,
  lines: Map<number, Line>,
  { line: number, session, lastEventId }: Extract<Order, { order: 'open' }>,
): void {
  const line = new LocalLine(
    node.manager,
    session,
    lastEventId,
    (frame) => tell({ told: 'frame', line: number, frame }),
    (state) => {
      tell({ told: 'state', line: number, state });
      lines.delete(number);
    },
  );
  lines.set(number, line);
  line.created.then(
    () => tell({ told: 'created', line: number }),
    (error) => tell({ told: 'created', line: number, failure: failureOf(error) }),
  );
}

function failureOf(error: unknown): Failure {
  const { code = 'unknown', message } = error as { code?: string; message: string };
  return { code, message };
}

function stackOf(error: unknown): string {
  const { stack, cause } = error as Error;
  return `${stack ?? error}${cause ? `\ncaused by ${(cause as Error).stack ?? cause}` : ''}`;
}
