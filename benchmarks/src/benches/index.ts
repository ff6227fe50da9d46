import type { BackendBenchmark, Benchmark } from '../benchmark.ts';
import { broadcast } from './broadcast.ts';
import { createsAfterCrash } from './creates-after-crash.ts';
import { durableObjectsBroadcast } from './durable-objects-broadcast.ts';
import { durableObjectsCosts } from './durable-objects-costs.ts';
import { durableObjectsThroughput } from './durable-objects-throughput.ts';
import { heapPerStream } from './heap-per-stream.ts';
import { heartbeats } from './heartbeats.ts';
import { inMemory } from './in-memory.ts';
import { infoReads } from './info-reads.ts';
import { nodeCost } from './node-cost.ts';
import { readAmplification } from './read-amplification.ts';
import { replay } from './replay.ts';
import { storeLostWrites } from './store-lost-writes.ts';
import { storeOperations } from './store-operations.ts';
import { storeRoundTrips } from './store-round-trips.ts';
import { throughput } from './throughput.ts';

/** Asked of every backend, in this order. */
export const backendBenches: Readonly<Record<string, BackendBenchmark>> = {
  throughput,
  'node-cost': nodeCost,
  broadcast,
  heartbeats,
  'info-reads': infoReads,
  'creates-after-crash': createsAfterCrash,
  replay,
};

/** Asked once, after them. */
export const benches: Readonly<Record<string, Benchmark>> = {
  'durable-objects-throughput': durableObjectsThroughput,
  'durable-objects-broadcast': durableObjectsBroadcast,
  'durable-objects-costs': durableObjectsCosts,
  'read-amplification': readAmplification,
  'heap-per-stream': heapPerStream,
  'in-memory': inMemory,
  'store-operations': storeOperations,
  'store-round-trips': storeRoundTrips,
  'store-lost-writes': storeLostWrites,
};
