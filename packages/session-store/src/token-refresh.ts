import type { BackendConnection, Connected } from './backend-connection.ts';
import { Deadline, jittered, pause } from './deadline.ts';
import { SessionStoreError } from './errors.ts';
import { redact } from './redact.ts';
import type { OAuthTokens, Session } from './session.ts';
import type { FieldName, PatchResult, SessionKey } from './session-driver.ts';
import { conflict, invalidField, lockLost, notFound, unavailable } from './session-errors.ts';
import { encodeFields, FIELDS } from './session-fields.ts';
import { holdLock } from './session-lock.ts';
import type { RefreshedTokens } from './session-store.ts';

const OPERATION = 'refreshTokens';
const FIRST_RETRY_MS = 50;
const LONGEST_RETRY_MS = 1_000;

type Refresh = (current: Session, context: { readonly signal: AbortSignal }) => Promise<OAuthTokens>;

/**
 * Lets one process present a refresh token, and the others take what it got. Servers that rotate refresh tokens revoke
 * all tokens when a spent one comes twice, so whether to refresh is decided under the lock, after reading again. What
 * another process got is taken as soon as it is stored: those who wait need not come to the lock one after the other.
 *
 * @param stale the access token that no longer works; the one stored now, when the caller does not say
 */
export async function refreshTokens(
  connection: BackendConnection,
  key: SessionKey,
  refresh: Refresh,
  stale: string | undefined,
): Promise<RefreshedTokens> {
  const readTokens = (): Promise<Session> => connection.call(OPERATION, 'read', reading(key, ['tokens']));
  const first = await readTokens();
  const unwanted = stale ?? first.tokens?.access_token;
  const adopt = ({ tokens }: Session): RefreshedTokens | undefined =>
    tokens && tokens.access_token !== unwanted ? adopted(tokens) : undefined;
  const stored = adopt(first);
  if (stored !== undefined) return stored;
  const insteadOfWaiting = async (): Promise<RefreshedTokens | undefined> => adopt(await readTokens());
  // Once the token is spent its successor is the result, lock or no lock: the version guards the write.
  return holdLock(connection, key, { mustFinish: true, insteadOfWaiting }, async ({ signal }) => {
    const current = await readSession(connection, key);
    const { tokens } = current;
    const other = adopt(current);
    if (other !== undefined) return other;
    if (!tokens?.refresh_token) throw invalidField('tokens', 'no refresh token is stored');
    const fresh = await present(connection, key, refresh, { current, tokens, signal });
    return 'source' in fresh ? fresh : storeTokens(connection, key, { spent: tokens, fresh: fresh.tokens, current });
  });
}

/** Presents the refresh token. When that fails, another process may have been faster after all. */
async function present(
  connection: BackendConnection,
  key: SessionKey,
  refresh: Refresh,
  { current, tokens, signal }: { current: Session; tokens: OAuthTokens; signal: AbortSignal },
): Promise<{ tokens: OAuthTokens } | RefreshedTokens> {
  if (signal.aborted) throw lockLost(key.sessionId);
  try {
    const answer: OAuthTokens | null | undefined = await refresh(current, { signal });
    // An answer without a refresh token means that the old one stays valid (RFC 6749, section 6).
    const kept = { ...(answer as OAuthTokens), refresh_token: answer?.refresh_token || tokens.refresh_token };
    encodeFields({ tokens: kept });
    return { tokens: kept };
  } catch (error) {
    const stored = await readSession(connection, key).catch((readError: unknown) => {
      connection.reporter.error(asStoreError(connection, readError));
      return undefined;
    });
    if (stored?.tokens && stored.tokens.access_token !== tokens.access_token) return adopted(stored.tokens);
    throw signal.aborted ? lockLost(key.sessionId, error) : error;
  }
}

type Exchange = { readonly spent: OAuthTokens; readonly fresh: OAuthTokens; readonly current: Session };

/**
 * Stores the new pair. It exists nowhere else and the old one is spent, so it is handed to the caller even when the
 * backend stays away.
 */
async function storeTokens(
  connection: BackendConnection,
  key: SessionKey,
  { spent, fresh, current }: Exchange,
): Promise<RefreshedTokens> {
  const refreshed: RefreshedTokens = { tokens: fresh, source: 'refreshed', stored: true };
  const deadline = new Deadline(connection.operationTimeoutMs);
  let version = current.version;
  let failure: unknown;
  for (let retryMs = FIRST_RETRY_MS; ; retryMs = Math.min(2 * retryMs, LONGEST_RETRY_MS)) {
    try {
      if (version === undefined) {
        const found = await readSession(connection, key);
        if (isPair(found.tokens, fresh)) return refreshed;
        // Cleared meanwhile: somebody logged out, and stays so.
        if (!found.tokens) throw conflict(key.sessionId);
        if (found.tokens.refresh_token !== spent.refresh_token) return adopted(found.tokens);
        version = found.version;
      }
      const result = await writeTokens(connection, key, fresh, version);
      if (result === 'missing') throw notFound(key.sessionId, 'not-applied');
      if (result !== 'conflict') return refreshed;
      version = undefined;
      continue;
    } catch (error) {
      if (SessionStoreError.is(error) && (error.code === 'not_found' || error.code === 'conflict')) throw error;
      failure = error;
      // The write may have been applied: only reading tells.
      version = undefined;
    }
    const retryable = !SessionStoreError.is(failure) || failure.code === 'unavailable';
    if (!retryable || deadline.leftMs() <= retryMs) break;
    await pause(jittered(retryMs));
  }
  connection.reporter.error(asStoreError(connection, failure));
  return { ...refreshed, stored: false };
}

function writeTokens(
  connection: BackendConnection,
  key: SessionKey,
  tokens: OAuthTokens,
  ifVersion: number | undefined,
): Promise<PatchResult> {
  const { set } = encodeFields({ tokens });
  // Whatever its size: the pair that it replaces is spent, so refusing this one would end the user's session.
  return connection.callToFinish(OPERATION, 'write', async ({ driver, codec }) =>
    driver.patch(key, { kind: 'content', set: await codec.sealAny(key, set), unset: [], ifVersion }),
  );
}

function readSession(connection: BackendConnection, key: SessionKey): Promise<Session> {
  return connection.callToFinish(OPERATION, 'read', reading(key, FIELDS));
}

function reading(key: SessionKey, fields: readonly FieldName[]): (connected: Connected) => Promise<Session> {
  return async ({ driver, codec }) => {
    const record = await driver.read(key, fields);
    if (record === undefined) throw notFound(key.sessionId);
    return codec.toSession(record);
  };
}

/** Both: some servers give the same access token again, with another refresh token. */
function isPair(stored: OAuthTokens | null | undefined, { access_token, refresh_token }: OAuthTokens): boolean {
  return stored?.access_token === access_token && stored.refresh_token === refresh_token;
}

function adopted(tokens: OAuthTokens): RefreshedTokens {
  return { tokens, source: 'adopted', stored: true };
}

function asStoreError(connection: BackendConnection, error: unknown): SessionStoreError {
  if (SessionStoreError.is(error)) return error;
  return unavailable(connection.driver.backend, OPERATION, { cause: redact(error) });
}
