// The conformance kit: every backend passes the same cases.
export type { ConformanceBackend } from './case-kit.ts';
export { type ConformanceOptions, sessionStoreConformance } from './session-store-conformance.ts';
