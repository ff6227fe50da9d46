import { spawnNode } from 'test-support';
import type { Backend, BackendName } from '../backends/backend.ts';

/**
 * What becomes of a process that uses the published 0.3.0 as a transport does, told from a process that did.
 *
 * @throws when that is not what is said here
 */
export async function whatPublishedDoes(backend: Backend): Promise<string> {
  await using place = await backend.createPlace();
  await using child = await spawnNode(new URL('../programs/published-as-it-is.ts', import.meta.url), [
    backend.name,
    place.url,
  ]);
  const { code } = await child.exited;
  const error = /^(?:\[?\w*Error|error): .*$/m.exec(child.output)?.[0];
  if (code === 0 || error === undefined) throw new Error(`it was expected to fail:\n${child.output}`);
  return TELL[backend.name](`ends with code ${code} (\`${error}\`, as an unhandled rejection)`);
}

const TELL: Readonly<Record<BackendName, (fate: string) => string>> = {
  postgres: (fate) =>
    `The published 0.3.0 puts the frame unquoted into \`NOTIFY\`. With a real frame the sending process ${fate}. It was ` +
    'measured with frames that the benchmark had quoted for it.',
  redis: (fate) =>
    'The published 0.3.0 publishes over the connection that is subscribed. A process that holds a stream and sends ' +
    `${fate}. It was measured with a process that only sends.`,
};
