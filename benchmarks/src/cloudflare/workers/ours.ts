import {
  DurableObjectStreamSessionManager,
  durableObjectSessions,
  KVInfoSessionManager,
} from '@tmcp/session-manager-durable-objects';
import { serve } from './serve.ts';

const { sessionManager, subscriptionManager } = durableObjectSessions();
const worker: ExportedHandler = serve({
  ...sessionManager,
  subscriptions: subscriptionManager,
  kvInfo: new KVInfoSessionManager(),
  /** Its log is trimmed while a benchmark looks. */
  shortLived: new DurableObjectStreamSessionManager({ namespace: 'short-lived', resumeWindowMs: 500 }),
});
// biome-ignore lint/style/noDefaultExport: the entry point of a Worker
export default worker;
