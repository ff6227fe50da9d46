import { SyncLayer } from '../../src/index.ts';

export { SyncLayer };

/** As users of 0.3.0 deployed it: with `new_classes`, without SQL. */
export class LayerWithoutSql extends SyncLayer {}

// biome-ignore lint/style/noDefaultExport: the entry point of a Worker
export default {
  fetch: (): Response => new Response('this Worker only holds the objects'),
};
