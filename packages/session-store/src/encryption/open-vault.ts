import { variable } from '../environment.ts';
import { option, readOptions } from '../options.ts';
import { configError } from '../session-errors.ts';
import type { EncryptionOption, KeyProvider } from './encryption-options.ts';
import { FieldVault, type VaultRules } from './field-vault.ts';
import { Keyring } from './keyring.ts';

const OPTION = 'Option encryption';

/** The option as it was understood. */
export type WantedEncryption = {
  readonly keys: string | KeyProvider | false | undefined;
  readonly rules: VaultRules;
};

/**
 * Makes the vault that the options ask for, with the keys of the environment where they name none.
 *
 * @throws SessionStoreError `config`
 */
export async function openVault({ keys, rules }: WantedEncryption, required: boolean): Promise<FieldVault> {
  const provider = keys === false ? undefined : await findKeys(keys);
  if (provider === undefined && required) {
    throw configError('Encryption is required but no key is configured: set STORAGE_ENCRYPTION_KEY');
  }
  return new FieldVault(provider, rules);
}

/** @throws SessionStoreError `config` */
export function readEncryption(encryption: EncryptionOption | undefined): WantedEncryption {
  const strict: VaultRules = { allowPlaintextReads: false, acceptLegacyEnvelopes: false };
  if (typeof encryption !== 'object') return { keys: encryption, rules: strict };
  if (isProvider(encryption)) return { keys: encryption, rules: strict };
  const { keys, ...rules } = readOptions(encryption, {
    keys: option.value<string | KeyProvider>(
      'text that is not empty or a key provider',
      (value) => (typeof value === 'string' && value !== '') || isProvider(value),
    ),
    allowPlaintextReads: option.boolean(false),
    acceptLegacyEnvelopes: option.boolean(false),
  });
  return { keys, rules };
}

async function findKeys(keys: string | KeyProvider | undefined): Promise<KeyProvider | undefined> {
  if (typeof keys === 'string') return Keyring.parse(keys, OPTION);
  return keys ?? (await keysOfEnvironment());
}

async function keysOfEnvironment(): Promise<Keyring | undefined> {
  const one = variable('STORAGE_ENCRYPTION_KEY');
  const several = variable('STORAGE_ENCRYPTION_KEYS');
  // One key and nothing else: a colon or comma in it is a mistake, not a list.
  if (one !== undefined && /[:,]/.test(one)) {
    throw configError('STORAGE_ENCRYPTION_KEY must be 64 hexadecimal characters or 32 bytes in base64');
  }
  const single = one === undefined ? undefined : await Keyring.parse(one, 'STORAGE_ENCRYPTION_KEY');
  const list = several === undefined ? undefined : await Keyring.parse(several, 'STORAGE_ENCRYPTION_KEYS');
  if (single !== undefined && list !== undefined && !list.includes(single)) {
    throw configError('STORAGE_ENCRYPTION_KEY is not in STORAGE_ENCRYPTION_KEYS: set one of them, or add it there');
  }
  return list ?? single;
}

function isProvider(value: unknown): value is KeyProvider {
  if (typeof value !== 'object' || value === null) return false;
  const { current, byId } = value as Partial<Record<keyof KeyProvider, unknown>>;
  return typeof current === 'function' && typeof byId === 'function';
}
