import type { SessionError } from '../errors.ts';
import { atDeadline, type Timer } from './clock.ts';

/** Rejects when a promise takes too long. The promise itself goes on; what it becomes is of no interest then. */
export async function withDeadline<T>(promise: Promise<T>, ms: number, error: () => SessionError): Promise<T> {
  let timer: Timer | undefined;
  try {
    return await Promise.race([
      promise,
      new Promise<never>((_, reject) => {
        timer = atDeadline(ms, () => reject(error()));
      }),
    ]);
  } finally {
    clearTimeout(timer);
  }
}
