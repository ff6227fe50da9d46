import { existsSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { makeServerDirectory } from './server-account.ts';

/**
 * Builds a directory that processes share and that never changes once it is there. Whoever comes first builds, in a place of
 * its own; moving it to its name is one step, so that nobody ever sees half of it and a second builder just loses.
 *
 * @param witness - a file of the result: where it is missing, something has tidied the temporary directory up.
 * @param build - makes the directory somewhere in `workshop`, and says where.
 */
export async function buildOnce(
  directory: string,
  witness: string,
  build: (workshop: string) => Promise<string>,
): Promise<string> {
  const isThere = (): boolean => existsSync(join(directory, witness));
  if (isThere()) return directory;
  const workshop = makeServerDirectory(`${basename(directory)}.building-`, dirname(directory));
  try {
    const built = await build(workshop);
    if (existsSync(directory) && !isThere()) renameSync(directory, join(workshop, 'ruin'));
    renameSync(built, directory);
  } catch (error) {
    if (!isThere()) throw error;
  } finally {
    rmSync(workshop, { recursive: true, force: true });
  }
  return directory;
}
