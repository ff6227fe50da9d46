/** What happened in one isolate. */
export type Counts = {
  /** RPC calls and connects that arrived at objects. */
  requests: number;
  alarms: number;
  /** WebSocket messages that reached an object; pings are answered by the runtime and do not. */
  messagesIn: number;
  /** WebSocket messages that were sent: by objects in their isolate, to objects in those of Workers, pings included. */
  socketMessages: number;
  rowsRead: number;
  /** Deleted rows and alarms that were set included, as in a bill. */
  rowsWritten: number;
  /** How often an object came into memory, and the rows that this read. */
  starts: number;
  rowsReadByStarts: number;
  kvReads: number;
  /** Writes, deletes and lists: they have one price. */
  kvWrites: number;
};

export function noCounts(): Counts {
  return {
    requests: 0,
    alarms: 0,
    messagesIn: 0,
    socketMessages: 0,
    rowsRead: 0,
    rowsWritten: 0,
    starts: 0,
    rowsReadByStarts: 0,
    kvReads: 0,
    kvWrites: 0,
  };
}
