import { styleText } from 'node:util';

const WIDTH = 100;

/** Prints what the demo does. */
export class Report {
  #held = 0;

  paragraph(text: string): void {
    console.log(`${wrap(text, '')}\n`);
  }

  /** A step that held. */
  held(sentences: string): void {
    this.#held += 1;
    console.log(`  ${styleText('green', '✓')} ${wrap(sentences, '    ').trimStart()}`);
  }

  /** The step that did not. */
  failed(error: unknown): void {
    console.error(`  ${styleText('red', '✗')} ${error instanceof Error ? error.message : String(error)}\n`);
    console.error(error);
  }

  summary(): void {
    console.log(`\n${this.#held} of ${this.#held} steps held`);
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
