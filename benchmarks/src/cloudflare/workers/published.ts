import { DurableObjectStreamSessionManager, KVInfoSessionManager } from 'published-session-manager-durable-objects';
import { serve } from './serve.ts';

const streams = new DurableObjectStreamSessionManager();
const info = new KVInfoSessionManager();
// Its subscription manager cannot be made at module scope, where transports need it.
const worker: ExportedHandler = serve({
  streams: {
    create: (id, controller) => streams.create(id, controller),
    delete: (id) => streams.delete(id),
    has: (id) => streams.has(id),
    publish: (sessions, frame) => streams.send(sessions, frame),
  },
  info,
});
// biome-ignore lint/style/noDefaultExport: the entry point of a Worker
export default worker;
