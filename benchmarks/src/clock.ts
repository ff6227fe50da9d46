/** Milliseconds on a clock that all processes of this machine share. */
export function sharedNow(): number {
  return toShared(performance.now());
}

/** @param moment `performance.now()` of this process */
export function toShared(moment: number): number {
  return OFFSET + moment;
}

const OFFSET = Number(process.hrtime.bigint()) / 1e6 - performance.now();
