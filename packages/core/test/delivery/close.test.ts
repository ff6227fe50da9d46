import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

const program = `
  import { InMemoryStreamSessionManager } from ${JSON.stringify(new URL('../../src/index.ts', import.meta.url).href)};
  const streams = new InMemoryStreamSessionManager();
  await new Promise((opened) => {
    new ReadableStream({ start: (controller) => streams.create('session', controller).then(opened) });
  });
  await streams.close();
  console.log('closed');
`;

it('close/holds-process: a process that awaits close() and has nothing else to do does not end before it', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', program]);
  expect(stdout).toBe('closed\n');
});
