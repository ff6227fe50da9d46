/** What only Node has is loaded when a file is used, so that the package can be imported elsewhere. */
export type NodeModules = {
  readonly fs: typeof import('node:fs/promises');
  readonly path: typeof import('node:path');
  readonly lockfile: Pick<typeof import('proper-lockfile'), 'lock'>;
};

let loaded: Promise<NodeModules> | undefined;

export function nodeModules(): Promise<NodeModules> {
  loaded ??= load();
  return loaded;
}

async function load(): Promise<NodeModules> {
  const [fs, path, lockfile] = await Promise.all([
    import('node:fs/promises'),
    import('node:path'),
    import('proper-lockfile'),
  ]);
  return { fs, path, lockfile: lockfile.default };
}

/** The code of an error of the file system. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}
