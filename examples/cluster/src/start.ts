/**
 * `pnpm --filter example-cluster start --processes 3 --port 3000 --backend postgres`: server processes behind a load
 * balancer, until Ctrl-C. Where no environment variable says where the backend is, one of our own is started.
 */
import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { backendName, backends } from './backends.ts';
import { Cluster } from './cluster.ts';
import { ownServers } from './own-server.ts';

const { values: options } = parseArgs({
  // pnpm hands a separating `--` on.
  args: process.argv.slice(2).filter((argument) => argument !== '--'),
  options: {
    processes: { type: 'string', default: '3' },
    port: { type: 'string', default: '3000' },
    backend: { type: 'string', default: 'postgres' },
    notebook: { type: 'string', default: 'notes.jsonl' },
  },
});

const stop = Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')]).then(() => {
  stopping = true;
});
let stopping = false;

const backend = backendName(options.backend);
let address = process.env[backends[backend].variable];
await using resources = new AsyncDisposableStack();
if (!address) {
  const server = resources.use(await ownServers[backend]());
  address = server.address;
  console.log(`Started ${server.title}; what it keeps goes when this ends`);
}

const cluster = await Cluster.start(Number(options.processes), {
  backend,
  address,
  notebook: options.notebook,
  port: Number(options.port),
  onOutput: (name, line) => console.log(`[${name}] ${line}`),
  onCrash: (name, how) => {
    if (stopping) return;
    console.log(`Process ${name} ended (${how}); starting another one in a second`);
    setTimeout(() => void cluster.startProcess().catch(console.error), 1_000);
  },
});
resources.use(cluster);
console.log(`MCP at ${cluster.url}/mcp, HTTP+SSE at ${cluster.url}/sse. Ctrl-C ends it`);

await stop;
