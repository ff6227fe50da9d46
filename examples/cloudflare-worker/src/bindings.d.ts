// What `wrangler.jsonc` binds. `wrangler types` would write it, and more, but it cannot look into the class of a package.
// biome-ignore lint/style/noNamespace: that is where the types of Workers look for bindings
declare namespace Cloudflare {
  interface Env {
    TMCP_DURABLE_OBJECT: DurableObjectNamespace<import('@tmcp/session-manager-durable-objects').SyncLayer>;
    TMCP_SESSION_INFO: KVNamespace;
    NOTEBOOK: DurableObjectNamespace<import('./notebook.ts').Notebook>;
    SESSION_INFO: 'durable-objects' | 'kv';
  }
}
