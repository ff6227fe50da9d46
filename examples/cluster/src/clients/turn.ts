import type { Cluster } from '../cluster.ts';

/** Who must not answer. */
export type AskOptions = {
  /** Names of processes. */
  readonly not?: readonly string[];
};

/**
 * The load balancer gives requests to the processes in turn. This lets turns pass, with requests of no consequence,
 * until it is that of a process that may answer.
 */
export async function passTurns(cluster: Cluster, { not = [] }: AskOptions): Promise<void> {
  for (let passed = 0; not.includes(cluster.balancer.next ?? '') && passed < 30; passed += 1) {
    await (await fetch(new URL('/health', cluster.url))).text();
  }
}

export function assertAnsweredByOther(process: string, { not = [] }: AskOptions): void {
  if (not.includes(process)) throw new Error(`Process ${process} answered, but it was not its turn`);
}
