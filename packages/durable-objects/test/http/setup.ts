import { inject } from 'vitest';

// wrangler neither reports nor asks anything of the network, and writes where nobody looks.
const home = inject('temporaryHome');
Object.assign(process.env, {
  HOME: home,
  XDG_CONFIG_HOME: home,
  WRANGLER_SEND_METRICS: 'false',
  WRANGLER_SEND_ERROR_REPORTS: 'false',
  WRANGLER_HIDE_BANNER: 'true',
  CLOUDFLARE_CF_FETCH_ENABLED: 'false',
});
