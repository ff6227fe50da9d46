import { respond } from './server.ts';

const worker: ExportedHandler = { fetch: respond };
// biome-ignore lint/style/noDefaultExport: the entry point of a Worker
export default worker;
