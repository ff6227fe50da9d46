export { claimsSuite } from './claims.ts';
export {
  frame,
  type Heard,
  listen,
  type OpenNode,
  type OpenNodes,
  Producer,
  part,
  type Stored,
  unique,
} from './harness.ts';
export { readingSuite } from './reading.ts';
