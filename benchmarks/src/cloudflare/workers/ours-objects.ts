import { SyncLayer as Layer } from '@tmcp/session-manager-durable-objects';
import { meterStart } from './metering.ts';
import { BROKEN, isMetered, ownerOf } from './objects.ts';

export class SyncLayer extends Layer {
  constructor(ctx: DurableObjectState, env: unknown) {
    const started = isMetered ? meterStart(ctx) : undefined;
    super(ctx, env);
    started?.();
  }

  /** A reset, as a deploy or a crash is one. */
  breakDown(): void {
    this.ctx.abort(BROKEN);
  }
}

const owner: ExportedHandler = ownerOf(Layer);
// biome-ignore lint/style/noDefaultExport: the entry point of a Worker
export default owner;
