import { SyncLayer as Layer } from '../../src/index.ts';
import { respond } from './server.ts';

/** With what a test needs to break it. */
export class SyncLayer extends Layer {
  breakDown(): void {
    this.ctx.abort('broken on purpose');
  }
}

const worker: ExportedHandler = { fetch: respond };
// biome-ignore lint/style/noDefaultExport: the entry point of a Worker
export default worker;
