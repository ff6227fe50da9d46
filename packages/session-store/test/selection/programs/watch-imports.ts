// Loaded first: tells what is loaded after it, and lets packages be missing that `MISSING` names.
import { registerHooks } from 'node:module';

const missing = (process.env.MISSING ?? '').split(',');
const loaded: string[] = [];
registerHooks({
  resolve(specifier, context, next) {
    if (missing.includes(specifier)) {
      throw Object.assign(new Error(`Cannot find package '${specifier}'`), { code: 'ERR_MODULE_NOT_FOUND' });
    }
    const found = next(specifier, context);
    if (!found.url.startsWith('file:') || found.url.includes('node_modules')) loaded.push(specifier);
    return found;
  },
});
Object.assign(globalThis, { loaded });
