import { styleText } from 'node:util';
import { RETRY_MS } from './reconnecting-streams.ts';
import { type Figures, milliseconds } from './scenarios/scenario.ts';

const WIDTH = 100;

/** What the demo prints. */
export class Report {
  readonly #start: number = performance.now();
  #held = 0;

  paragraph(text: string): void {
    console.log(wrap(text, ''));
  }

  heading(text: string): void {
    console.log(`\n${styleText('bold', text)}`);
  }

  /** A step that held. */
  held(sentences: string): void {
    this.#held += 1;
    console.log(`  ${styleText('green', '✓')} ${wrap(`${sentences}.`, '    ').trimStart()}`);
  }

  /** The step that did not. */
  failed(error: unknown, serverOutput: readonly string[]): void {
    const [message] = String(error instanceof Error ? error.message : error).split('\n');
    console.error(`  ${styleText('red', '✗')} ${message}\n`);
    console.error(error);
    console.error(['', 'What the server processes wrote last:', ...serverOutput.slice(-30)].join('\n'));
  }

  summary({ notifications, repeats, brokenConnections, recoveries }: Figures, server: string): void {
    this.heading('Summary');
    const names = { http: 'Streamable HTTP', sse: 'HTTP+SSE' } as const;
    const lines = [
      `${this.#held} of ${this.#held} steps held`,
      `${(notifications - repeats).toLocaleString('en')} notifications sent and received, none lost` +
        (repeats > 0 ? `; ${repeats} came twice, to the client that does not name its last event` : ''),
      `${brokenConnections} connections broken off by ${server}`,
      ...recoveries.map(
        ({ how, transport, ms }) => `${ms} ms from a ${how} process to the next notification (${names[transport]})`,
      ),
      `  (of these, ${RETRY_MS} ms are the pause that the server asks clients to make)`,
      `${(milliseconds(this.#start) / 1_000).toFixed(1)} s in all`,
    ];
    for (const line of lines) console.log(`  ${line}`);
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
