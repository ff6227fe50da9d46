import {
  type ClientCapabilities,
  type ClientInfo,
  type LogLevel,
  StoredInfoSessionManager,
} from '@tmcp/session-manager';
import { pause } from './calls.ts';
import { keepRunning } from './request.ts';

/**
 * Session info whose writes outlive the request that made them: the transports do not await them. Its reads do so for
 * a moment, in which the row that they share is forgotten.
 */
export class WorkerInfoSessionManager extends StoredInfoSessionManager {
  override getClientInfo(id: string): Promise<ClientInfo> {
    return untilForgotten(super.getClientInfo(id));
  }

  override getClientCapabilities(id: string): Promise<ClientCapabilities> {
    return untilForgotten(super.getClientCapabilities(id));
  }

  override getLogLevel(id: string): Promise<LogLevel> {
    return untilForgotten(super.getLogLevel(id));
  }

  override setClientInfo(...args: Parameters<StoredInfoSessionManager['setClientInfo']>): Promise<void> {
    return outliving(super.setClientInfo(...args));
  }

  override setClientCapabilities(
    ...args: Parameters<StoredInfoSessionManager['setClientCapabilities']>
  ): Promise<void> {
    return outliving(super.setClientCapabilities(...args));
  }

  override setLogLevel(...args: Parameters<StoredInfoSessionManager['setLogLevel']>): Promise<void> {
    return outliving(super.setLogLevel(...args));
  }

  override addSubscription(id: string, uri: string): Promise<void> {
    return outliving(super.addSubscription(id, uri));
  }

  override removeSubscription(id: string, uri: string): Promise<void> {
    return outliving(super.removeSubscription(id, uri));
  }

  override getSubscriptions(uri: string): Promise<string[]> {
    return outliving(super.getSubscriptions(uri));
  }

  override delete(id: string): Promise<void> {
    return outliving(super.delete(id));
  }
}

/** The transports do not await these calls: a request that has its response already must not take them along. */
function outliving<T>(call: Promise<T>): Promise<T> {
  keepRunning(call);
  return call;
}

/**
 * The getters of a POST share one row, which a timer forgets at the end of the turn in which it arrived. Timers end
 * with their request: without this the rest of a row would be answered to a request of any later time.
 */
function untilForgotten<T>(call: Promise<T>): Promise<T> {
  const thisTurnEnds = (): Promise<void> => pause(0);
  keepRunning(call.then(thisTurnEnds, thisTurnEnds));
  return call;
}
