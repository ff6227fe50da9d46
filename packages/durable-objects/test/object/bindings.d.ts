// biome-ignore lint/style/noNamespace: that is where the runtime's types look for bindings
declare namespace Cloudflare {
  interface Env {
    TMCP_DURABLE_OBJECT: DurableObjectNamespace<import('../../src/index.ts').SyncLayer>;
    WITHOUT_SQL: DurableObjectNamespace<import('../../src/index.ts').SyncLayer>;
    TMCP_SESSION_INFO: KVNamespace;
  }
}

/** A text file, as vite hands it over. */
declare module '*?raw' {
  const text: string;
  // biome-ignore lint/style/noDefaultExport: that is how it is handed over
  export default text;
}
