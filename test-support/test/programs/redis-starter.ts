// Starts a Redis server, says which, and leaves it to its fate when it is killed.
import { startRedis } from '../../src/index.ts';

const server = await startRedis();
const [, directory] = (await server.command('CONFIG', 'GET', 'dir')) as [string, string];
server.freeze();
process.send?.({ pid: server.pid, directory });
