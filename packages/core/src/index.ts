// Every public name, listed one by one: what is not listed here is private and may change.

// For authors of backends
export { createConsoleErrorHandler, type ErrorHandler, guardErrorHandler } from './on-error.ts';
export {
  invalidOption,
  MAX_TIMER_MS,
  type OptionRule,
  type OptionSpec,
  type OptionsOf,
  option,
  readOptions,
  requireOneOf,
} from './options.ts';
export { assertResourceUri, assertSessionId, MAX_SESSION_ID_BYTES, MAX_URI_BYTES } from './session-id.ts';
