// What becomes of a process that sends a real frame through the published 0.3.0: `node published-plain-frame.ts <url>`.
import { PostgresStreamSessionManager } from 'published-session-manager-postgres';
import { makeFrame } from '../frame.ts';

const manager = new PostgresStreamSessionManager({ connectionString: process.argv[2] ?? '' });
await manager.has('');
await manager.send(['session-0'], makeFrame(0));
