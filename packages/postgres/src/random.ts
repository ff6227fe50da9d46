import { randomBytes, randomInt } from 'node:crypto';

/** Random text of lower-case letters and digits. */
export function randomText(length: number): string {
  return Array.from({ length }, () => randomInt(36).toString(36)).join('');
}

/** A channel name that nobody guesses: notifications can be heard and forged by every role of the database. */
export function randomChannel(): string {
  return `tmcp_${randomBytes(20).toString('hex')}`;
}

/** A random positive 32-bit number. */
export function randomKey(): number {
  return randomInt(1, 2 ** 31);
}
