/** The only place where variables of the environment are read. */

/** Trimmed; a variable that is empty counts as one that is not set. */
export function variable(name: string): string | undefined {
  // biome-ignore lint/style/noProcessEnv: this is the place.
  const environment = typeof process === 'undefined' ? undefined : process.env;
  const value = environment?.[name]?.trim();
  return value === '' ? undefined : value;
}

export function isProduction(): boolean {
  return variable('NODE_ENV') === 'production';
}
