import { configError, missingPackage } from '../session-errors.ts';
import type { NeonSql } from './neon-connection.ts';
import { NeonStorageBackend, type NeonStorageOptions } from './neon-storage-backend.ts';

/**
 * A backend for a connection string, for those who configure by environment: the driver is loaded here.
 *
 * @param variable where the connection string came from, for messages: they do not show it
 * @throws SessionStoreError `config` when the package is missing, or the connection string is none
 */
export async function openNeon(
  connectionString: string,
  variable: string,
  options: NeonStorageOptions = {},
): Promise<NeonStorageBackend> {
  const { neon } = await import('@neondatabase/serverless').catch((cause: unknown) => {
    throw missingPackage('neon', '@neondatabase/serverless', cause);
  });
  return new NeonStorageBackend(makeSql(neon, connectionString, variable), options);
}

function makeSql(neon: (connectionString: string) => NeonSql, connectionString: string, variable: string): NeonSql {
  try {
    const { protocol, hostname, username } = new URL(connectionString);
    const isComplete = hostname !== '' && username !== '';
    if (isComplete && (protocol === 'postgresql:' || protocol === 'postgres:')) return neon(connectionString);
  } catch {
    // What is thrown quotes the string, so it is not kept.
  }
  throw configError(`${variable} is not a valid postgresql URL`);
}
