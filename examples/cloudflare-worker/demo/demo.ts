/**
 * `pnpm --filter example-cloudflare-worker demo`: starts the Worker with `wrangler dev` and shows with the official MCP
 * client what it promises. Each step is checked; the exit code is 0 only if all of them held. With `--info kv` what is
 * known about sessions is kept in KV.
 */
import { parseArgs } from 'node:util';
import { TcpProxy } from 'test-support';
import { NoteClient } from './note-client.ts';
import { Report } from './report.ts';
import { Runtime, type SessionInfo } from './runtime.ts';
import { called, cutAndResumed, deleted, initialized, notified, restarted, type Step } from './steps.ts';

const STEPS: Readonly<Record<string, Step>> = { initialized, called, notified, cutAndResumed, restarted, deleted };

const report = new Report();

async function show(sessionInfo: SessionInfo, resources: AsyncDisposableStack): Promise<void> {
  const runtime = resources.use(await Runtime.start(sessionInfo));
  resources.defer(async () => report.output(runtime.output));
  report.paragraph(`wrangler dev serves the Worker at ${runtime.url}; session info is kept in ${sessionInfo}.`);
  const network = resources.use(await TcpProxy.start({ host: '127.0.0.1', port: runtime.port }));
  const ada = resources.use(await NoteClient.connect('Ada', network.url(runtime.url)));
  const ben = resources.use(await NoteClient.connect('Ben', runtime.url));
  for (const [name, step] of Object.entries(STEPS)) {
    try {
      report.held(await step({ runtime, network, ada, ben }));
    } catch (cause) {
      throw new Error(`${name}: ${cause instanceof Error ? cause.message : cause}`, { cause });
    }
  }
}

async function run(sessionInfo: SessionInfo): Promise<void> {
  const resources = new AsyncDisposableStack();
  let interrupted = false;
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, async () => {
      interrupted = true;
      await resources.disposeAsync();
      process.exit(130);
    });
  }
  try {
    await show(sessionInfo, resources);
    await resources.disposeAsync();
    report.summary();
  } catch (error) {
    process.exitCode = 1;
    await resources.disposeAsync();
    if (!interrupted) report.failed(error);
  }
}

try {
  const { values } = parseArgs({
    // pnpm hands a separating `--` on.
    args: process.argv.slice(2).filter((argument) => argument !== '--'),
    options: { info: { type: 'string', default: 'durable-objects' } },
  });
  if (values.info !== 'durable-objects' && values.info !== 'kv') {
    throw new Error(`There is no place "${values.info}" for session info; known are: durable-objects, kv`);
  }
  await run(values.info);
} catch (error) {
  process.exitCode = 1;
  console.error(error instanceof Error ? error.message : error);
}
