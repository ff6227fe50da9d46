// The conformance kit: one suite per contract, over a factory that makes managers on one backend.
export type {
  InfoBackend,
  InfoSuite,
  OpenInfoOptions,
  TestedInfoSessionManager,
} from './info-backend.ts';
export { type InfoStoreSuite, infoStoreSuite } from './info-store-suite.ts';
export { infoSessionManagerSuite } from './info-suite.ts';
