/** A value, or a promise of it: the transports await either. */
export type Awaitable<T> = T | Promise<T>;
