import { styleText } from 'node:util';

const WIDTH = 100;

/** What the demo prints. */
export class Report {
  readonly #start: number = performance.now();
  #held = 0;
  #output = '';

  paragraph(text: string): void {
    console.log(wrap(text, ''));
  }

  /** A step that held. */
  held(sentences: string): void {
    this.#held += 1;
    console.log(`  ${styleText('green', '✓')} ${wrap(`${sentences}.`, '    ').trimStart()}`);
  }

  /** What the runtime wrote: shown when a step does not hold. */
  output(text: string): void {
    this.#output = text;
  }

  /** The step that did not hold. */
  failed(error: unknown): void {
    const [message] = String(error instanceof Error ? error.message : error).split('\n');
    console.error(`  ${styleText('red', '✗')} ${message}\n`);
    console.error(error);
    console.error(['', 'What wrangler dev wrote last:', ...this.#output.split('\n').slice(-30)].join('\n'));
  }

  summary(): void {
    const seconds = ((performance.now() - this.#start) / 1_000).toFixed(1);
    console.log(`${this.#held} of ${this.#held} steps held in ${seconds} s; wrangler dev has ended.`);
  }
}

/** Breaks lines between words, and indents them. */
function wrap(text: string, indent: string): string {
  const lines = [indent];
  for (const word of text.split(' ')) {
    const line = lines.at(-1) ?? '';
    if (line.length + word.length >= WIDTH && line !== indent) lines.push(`${indent}${word}`);
    else lines[lines.length - 1] = line === indent ? `${indent}${word}` : `${line} ${word}`;
  }
  return lines.join('\n');
}
