// The conformance kit: one suite per contract, over a factory that makes managers on one backend.

export type { CaseOptions } from './cases.ts';
export type {
  InfoBackend,
  InfoSuite,
  OpenInfoOptions,
  TestedInfoSessionManager,
} from './info-backend.ts';
export { type InfoStoreSuite, infoStoreSuite } from './info-store-suite.ts';
export { infoSessionManagerSuite } from './info-suite.ts';
export { renewEpoch } from './renew-epoch.ts';
export type {
  MortalStreams,
  OpenStreamsOptions,
  StreamBackend,
  StreamSuite,
  TestedStreamSessionManager,
  TestedStreamStats,
} from './stream-backend.ts';
export { streamSessionManagerSuite } from './stream-suite.ts';
export type {
  OpenSubscriptionsOptions,
  SubscriptionBackend,
  SubscriptionSuite,
  TestedSubscriptionManager,
} from './subscription-backend.ts';
export { subscriptionManagerSuite } from './subscription-suite.ts';
export { TestClient } from './test-client.ts';
export { TestListener, type TestListenerOptions } from './test-listener.ts';
export { TestStream, type TestStreamOptions, type TestStreamState } from './test-stream.ts';
