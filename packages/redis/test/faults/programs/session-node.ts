// A server process: one manager and the streams that its parent opens on it.
import { serveNode } from 'test-support/faults';
import { makeManager } from '../support/test-node.ts';

serveNode(makeManager);
