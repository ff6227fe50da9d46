import { StoredInfoSessionManager } from '@tmcp/session-manager';
import { keepRunning } from './request.ts';

/** Session info whose writes outlive the request that made them: the transports do not await them. */
export class WorkerInfoSessionManager extends StoredInfoSessionManager {
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
