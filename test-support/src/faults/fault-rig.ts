import type { TcpProxy } from '../tcp-proxy/tcp-proxy.ts';
import { Rig } from './rig.ts';
import type { StreamManager } from './stream-manager.ts';

/** Options that nodes of every backend have. */
export type CommonOptions = {
  readonly heartbeatMs?: number | undefined;
  readonly sessionTimeoutMs?: number | undefined;
  readonly resumeWindowMs?: number | undefined;
  readonly sendTimeoutMs?: number | undefined;
  readonly maxLogBytes?: number | undefined;
  readonly maxStreamBufferBytes?: number | undefined;
};

/** Where a log stands: its last position, and up to which it was trimmed. */
export type LogHead = { readonly position: number; readonly trimmed: number };

/** The position of a session's claim, and the cursor that the node which holds it wrote last. */
export type Holder = { readonly at: number; readonly cursor: number };

/**
 * The rig of a backend, as the shared suites use it: faults are caused on its server, and what they leave behind is looked up
 * past its managers.
 */
export abstract class FaultRig<
  Options extends CommonOptions = CommonOptions,
  Manager extends StreamManager = StreamManager,
> extends Rig<Options, Manager> {
  /** Codes that a fault of the network or the server may cause on this backend, and nothing is wrong. */
  abstract readonly harmless: readonly string[];
  /** Address of what this rig alone uses on the server. */
  abstract readonly url: string;

  /** A proxy in front of the server, with `listener` for a label of connections that hear of the log, and the way through it. */
  abstract proxy(): Promise<{ proxy: TcpProxy; url: string; through: Options }>;
  /** Another view of the same log, to judge what follows by itself. */
  abstract again(): FaultRig<Options, Manager>;
  abstract head(): Promise<LogHead>;
  abstract holder(session: string): Promise<Holder>;
  /** Ids of the nodes that count as there, or as silent. */
  abstract knownNodes(): Promise<string[]>;
}

/** Makes the rig of one test. */
export type MakeRig = () => FaultRig | Promise<FaultRig>;

/** A server that a suite may harm. */
export interface FaultServer extends AsyncDisposable {
  readonly url: string;
  readonly host: string;
  readonly port: number;
  start(): Promise<void>;
  shutDown(): Promise<void>;
  freeze(): void;
  thaw(): void;
}

/** For suites whose tests need a server each. */
export type FaultBackend<Server extends FaultServer = FaultServer, R extends FaultRig = FaultRig> = {
  startServer(): Promise<Server>;
  rigOn(server: Server): R | Promise<R>;
};
