import type { Socket } from 'node:net';

/** Closes a socket with a reset (RST) where that is possible, in any case at once. */
export function reset(socket: Socket): void {
  // Before it is connected there is nothing to reset. While its own end is on its way the system refuses to, and Node would
  // neither close the socket nor say so.
  const cannot = socket.connecting || (socket.writableEnded && !socket.writableFinished);
  if (cannot) socket.destroy();
  else socket.resetAndDestroy();
}
