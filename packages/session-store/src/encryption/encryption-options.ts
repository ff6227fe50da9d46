/** A key of AES-256 and the name that envelopes carry. */
export type EncryptionKey = {
  /** Matches `[A-Za-z0-9_-]{1,32}`. */
  readonly kid: string;
  /** 32 bytes. */
  readonly key: Uint8Array;
};

/** Where keys come from when they do not stand in a variable: a key management service, a vault. */
export type KeyProvider = {
  /** The key that writes use. Asked on every write: keep it in memory. */
  current(): EncryptionKey | Promise<EncryptionKey>;
  /** The bytes of an older key, or `undefined` for one that is unknown. */
  byId(kid: string): Uint8Array | undefined | Promise<Uint8Array | undefined>;
};

export type EncryptionOptions = {
  /**
   * One key (64 hexadecimal characters, or 32 bytes in base64), several as `"k2:<key>,k1:<key>"` of which the first
   * writes and all read, or a provider.
   * @default the keys of the environment
   */
  readonly keys?: string | KeyProvider | undefined;
  /** Lets values through that were stored before there was a key. Writes are encrypted anyway. @default false */
  readonly allowPlaintextReads?: boolean | undefined;
  /** Also opens the older envelopes `enc:1:<iv>:<tag>:<ciphertext>`. @default false */
  readonly acceptLegacyEnvelopes?: boolean | undefined;
};

/** `false`: no encryption. A text or a provider: the keys. */
export type EncryptionOption = false | string | KeyProvider | EncryptionOptions;
