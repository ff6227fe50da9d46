import type { Benchmark } from '../benchmark.ts';
import { broadcast } from './broadcast.ts';
import { createsAfterCrash } from './creates-after-crash.ts';
import { heapPerStream } from './heap-per-stream.ts';
import { heartbeats } from './heartbeats.ts';
import { inMemory } from './in-memory.ts';
import { infoReads } from './info-reads.ts';
import { nodeCost } from './node-cost.ts';
import { readAmplification } from './read-amplification.ts';
import { replay } from './replay.ts';
import { throughput } from './throughput.ts';

/** Every benchmark, in the order in which they run. */
export const benches: Readonly<Record<string, Benchmark>> = {
  throughput,
  'node-cost': nodeCost,
  'read-amplification': readAmplification,
  broadcast,
  heartbeats,
  'info-reads': infoReads,
  'creates-after-crash': createsAfterCrash,
  replay,
  'heap-per-stream': heapPerStream,
  'in-memory': inMemory,
};
