/** What an error of ioredis or an answer of the server means for us. */
export type RedisFailure = {
  /** The same call can succeed in a moment. */
  readonly passing: boolean;
  /** The server does not know us, or not well enough. */
  readonly refused: boolean;
  /** Nothing was written. */
  readonly notApplied: boolean;
};

/** Answers that a server gives before it runs anything; it or another one will soon run the call. */
const PASSING = new Set(['LOADING', 'READONLY', 'MASTERDOWN', 'CLUSTERDOWN', 'TRYAGAIN', 'MOVED', 'ASK', 'BUSY']);
/** The same, but somebody has to do something about it. */
const HINDERED = new Set(['OOM', 'MISCONF', 'NOREPLICAS', 'NOSCRIPT', 'CROSSSLOT']);
const REFUSED = new Set(['NOAUTH', 'WRONGPASS', 'NOPERM']);

/** ioredis says these before it sends anything. */
const NEVER_SENT = /^(Stream isn't writeable|Cluster isn't ready|Failed to refresh slots cache|None of startup nodes)/;

export function readFailure(error: unknown): RedisFailure {
  const { name, message, code } = error as { name?: unknown; message?: unknown; code?: unknown };
  const text = typeof message === 'string' ? message : '';
  if (name !== 'ReplyError') {
    const never = NEVER_SENT.test(text) || code === 'ECONNREFUSED' || code === 'ENOTFOUND';
    return { passing: true, refused: false, notApplied: never };
  }
  const answer = answerCode(text);
  const refused = REFUSED.has(answer);
  return {
    passing: PASSING.has(answer),
    refused,
    // A script that may not use a later command has run the earlier ones.
    notApplied: PASSING.has(answer) || HINDERED.has(answer) || (refused && answer !== 'NOPERM'),
  };
}

/** Redis 6 puts what a command in a script answered behind a text of its own. */
function answerCode(text: string): string {
  return /^ERR Error running script.*?-([A-Z]+) /.exec(text)?.[1] ?? text.split(' ', 1)[0] ?? '';
}
