// Starts a server and a program, says which, and leaves both to their fate when it is killed.
import { spawnNode, startPostgres } from '../../src/index.ts';

const server = await startPostgres();
const program = await spawnNode(new URL('./counter.ts', import.meta.url));
const [postmaster] = await server.query<{ directory: string }>(`select current_setting('data_directory') as directory`);
server.freeze();
program.freeze();
process.send?.({ pids: [server.pid, program.pid], directory: postmaster?.directory });
