// What becomes of a process that uses the published 0.3.0 as a transport does: `node published-as-it-is.ts <backend> <url>`.
import { setTimeout as sleep } from 'node:timers/promises';
import { PostgresStreamSessionManager } from 'published-session-manager-postgres';
import { RedisStreamSessionManager } from 'published-session-manager-redis';
import { openStream } from '../client-stream.ts';
import { makeFrame } from '../frame.ts';

const [backend, url = ''] = process.argv.slice(2);
const manager =
  backend === 'redis'
    ? new RedisStreamSessionManager(url)
    : new PostgresStreamSessionManager({ connectionString: url });
await manager.has('');
await manager.create('session-0', openStream().controller);
await manager.send(['session-0'], makeFrame(0));
// It does not wait for the answer of the server.
await sleep(2_000);
process.exit();
