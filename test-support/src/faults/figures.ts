import { appendFileSync } from 'node:fs';

/** Notes something that was measured, for a person who asks for it with `FAULT_FIGURES=<file>`. No test depends on it. */
export function figure(name: string, value: number, unit = 'ms'): void {
  const file = process.env.FAULT_FIGURES;
  if (file) appendFileSync(file, `${name}\t${Math.round(value * 10) / 10}\t${unit}\n`);
}
