export { Client, type Connection, type ConnectOptions } from './client.ts';
export {
  type CommonOptions,
  type FaultBackend,
  FaultRig,
  type FaultServer,
  type Holder,
  type LogHead,
  type MakeRig,
} from './fault-rig.ts';
export { figure } from './figures.ts';
export { leave, type Sessions, type SessionsOptions } from './leave.ts';
export { Ledger, type Message, type Sender } from './ledger.ts';
export { type Frame, isMessage, type Line, type LineState, LocalLine } from './line.ts';
export { Load, type LoadOptions } from './load.ts';
export { HINT, readMessage, writeMessage } from './message.ts';
export { CLEAN, judge, missing, type Repeat, settle, type Verdict } from './oracle.ts';
export { type Random, seeded } from './random.ts';
export { CallFailed, RemoteNode } from './remote-node.ts';
export { OUTAGE_CODES, Rig, type RigBackend } from './rig.ts';
export { serveNode } from './serve-node.ts';
export { Slot } from './slot.ts';
export { type Move, move, Storm, swallowAppend } from './storm.ts';
export type { Health, Reported, StreamManager, StreamStats } from './stream-manager.ts';
export { LocalNode, type NodeFigures, QUICK, type TestNode } from './test-node.ts';
export { type Visit, visit } from './visitor.ts';
