import { SessionStoreError } from './errors.ts';
import { redactText } from './redact.ts';

const NO_ANSWER = 'no answer came, check that it can be reached where you say';

/** What codes of the operating system and of TLS mean for somebody who has just set up a backend. */
const ADVICE: readonly (readonly [code: RegExp, advice: string])[] = [
  [/^ECONNREFUSED$/, 'nothing listens at the address, check that the server runs, and host and port'],
  [/^(ENOTFOUND|EAI_AGAIN)$/, 'the name of the host is not known, check the address'],
  [
    /^(ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|UND_ERR_CONNECT_TIMEOUT)$/,
    'the host is out of reach, check address and firewall',
  ],
  [/^(ECONNRESET|EPIPE)$/, 'the connection was broken, check that the port and its TLS are those of the server'],
  [/CERT|SSL|TLS|^EPROTO$/, 'TLS did not come about, check certificate and address'],
  [/^(EACCES|EPERM|EROFS|ENOTDIR|EISDIR|ENOENT|ENOSPC|EDQUOT)$/, 'check path, rights and space of the file'],
];

/**
 * A backend that did not start, in words that say why: whoever sets it up has nothing but this text. Neither host nor
 * driver's text with values in it gets into it.
 */
export function startFailure(error: unknown): unknown {
  if (!SessionStoreError.is(error) || error.code !== 'unavailable') return error;
  const { cause, message, outcome } = error;
  return new SessionStoreError('unavailable', `${message}: ${reasonOf(cause, message)}`, { cause, outcome });
}

/** Nobody has said anything: the time was up before. */
export function unanswered(error: SessionStoreError): SessionStoreError {
  const { code, message, outcome } = error;
  return new SessionStoreError(code, `${message}: ${NO_ANSWER}`, { outcome });
}

/** @param said what was said already */
function reasonOf(cause: unknown, said: string): string {
  if (!(cause instanceof Error)) return NO_ANSWER;
  const code: unknown = 'code' in cause ? cause.code : undefined;
  const advice = typeof code === 'string' ? adviceFor(code) : undefined;
  if (advice === undefined) return `the driver said "${redactText(cause.message)}"`;
  const shown = ` (${String(code)})`;
  return said.endsWith(shown) ? advice.replace(shown, '') : advice;
}

/** What a code of the operating system or of TLS means, and what to do about it. */
export function adviceFor(code: string | undefined): string | undefined {
  const [, advice] = ADVICE.find(([pattern]) => code !== undefined && pattern.test(code)) ?? [];
  return advice === undefined ? undefined : `${advice} (${code})`;
}
