// Every public name, listed one by one: what is not listed here is private and may change.

// Contracts

export type { Awaitable } from './awaitable.ts';
export { SessionError, type SessionErrorCode } from './errors.ts';
// In memory
export {
  InMemoryInfoSessionManager,
  type InMemoryInfoSessionManagerOptions,
  type InMemoryInfoStats,
} from './in-memory/in-memory-info-session-manager.ts';
export type { InMemoryDeliveryOptions } from './in-memory/in-memory-node.ts';
export {
  InMemoryStreamSessionManager,
  type InMemoryStreamSessionManagerOptions,
} from './in-memory/in-memory-stream-session-manager.ts';
export {
  InMemorySubscriptionManager,
  type InMemorySubscriptionManagerOptions,
} from './in-memory/in-memory-subscription-manager.ts';
export { InProcessBackplane, type InProcessBackplaneOptions, InProcessHub } from './in-memory/in-process-backplane.ts';
export { type ClientCapabilities, type ClientInfo, InfoSessionManager, type LogLevel } from './info-session-manager.ts';
export type { ErrorHandler } from './on-error.ts';
export { type CreateStreamOptions, StreamSessionManager } from './stream-session-manager.ts';
export {
  type CloseReason,
  matchesSubscription,
  type Notification,
  type Subscription,
  type SubscriptionCallbacks,
  type SubscriptionFilter,
  SubscriptionManager,
} from './subscription-manager.ts';

// For authors of backends: delivery

export type {
  AppendAnswer,
  Backplane,
  BackplaneLimits,
  BackplaneListener,
  Batch,
  Beat,
  BeatAnswer,
  ClaimAnswer,
  ControlOperation,
  Liveness,
  LogPage,
  MaintenanceAnswer,
  MaintenanceRequest,
  Part,
  PartDraft,
  PreviousClaim,
  SearchPage,
  SilentNode,
} from './delivery/backplane.ts';
export { LOST } from './delivery/backplane.ts';
export {
  BackplaneStreamSessionManager,
  type StreamSessionManagerStats,
} from './delivery/backplane-stream-session-manager.ts';
export {
  BackplaneSubscriptionManager,
  type SubscriptionManagerStats,
} from './delivery/backplane-subscription-manager.ts';
export { type DeliveryOptions, type DeliverySettings, deliveryRules } from './delivery/delivery-options.ts';
export type { StreamStats } from './delivery/local-streams.ts';
export { DeliveryNode, type Health, type NodeState, type NodeStats } from './delivery/node.ts';
export {
  createSessionSet,
  MAX_NAMESPACE_BYTES,
  type SessionSet,
  type SessionSetParts,
  type SessionSetStats,
} from './delivery/session-set.ts';

// For authors of backends with a road of their own: what a stream, an event id and a listen stream are made of

export { formatEventId, parseEventId } from './delivery/event-id.ts';
export { LocalStream, type StreamEnd } from './delivery/local-stream.ts';
export { type RegistryOptions, SubscriptionRegistry } from './delivery/subscription-registry.ts';
export { encodeText, isStorable, randomId, utf8Length } from './delivery/text.ts';

// For authors of backends: info
export {
  type InfoTtlOption,
  infoTtlRule,
  type StoredInfoOptions,
  type StoredInfoSettings,
  storedInfoRules,
} from './info/info-options.ts';
export type { Age, InfoField, InfoRow, InfoStore } from './info/info-store.ts';
export { type Dated, type DatedAnswer, ServerClock } from './info/server-clock.ts';
export { type InfoStats, StoredInfoSessionManager } from './info/stored-info-session-manager.ts';

// For authors of backends: options, ids, errors

export { createConsoleErrorHandler, guardErrorHandler } from './on-error.ts';
export {
  invalidOption,
  MAX_TIMER_MS,
  type OptionRule,
  type OptionSpec,
  type OptionsOf,
  option,
  readOptions,
  requireOneOf,
} from './options.ts';
export { assertResourceUri, assertSessionId, MAX_SESSION_ID_BYTES, MAX_URI_BYTES } from './session-id.ts';
