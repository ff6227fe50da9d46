/**
 * The keys of one namespace. All carry one hash tag, so that a script may touch them together in a Cluster as well. The
 * namespace is text of others: encoded, it can neither end the tag nor meet another key.
 */
export type LogKeys = {
  /** Hash: epoch, head, bytes, what was trimmed, identity of the server. */
  readonly head: string;
  /** Stream: one entry per part, its id is the position of the part's last operation. */
  readonly log: string;
  /** Hash: producer to its last batch. */
  readonly producers: string;
  /** Hash: producer to what the claims of its last batch found. */
  readonly answers: string;
  /** Hash: session to its claim. */
  readonly claims: string;
  /** Hash: node to its cursor and beat. */
  readonly nodes: string;
  /** List: position and bytes of a part, one about every sixteenth of `maxLogBytes`: where to trim for size. */
  readonly marks: string;
  /** Sorted set: positions of the head and when they were seen: where to trim for age. */
  readonly times: string;
  /** Hash: id to a payload that is too large for a part. */
  readonly large: string;
  /** Sorted set: id and size of large payloads by age. */
  readonly largeTimes: string;
  /**
   * Beginning of the name of the channel that a node's reading connection subscribes to. Nothing is ever published:
   * that it has a subscriber shows that the process lives.
   */
  readonly live: string;
};

/** @param prefix `keyPrefix`, without braces */
export function logKeys(prefix: string, namespace: string): LogKeys {
  const tag = hashTag(prefix, namespace);
  return {
    head: `${tag}:head`,
    log: `${tag}:log`,
    producers: `${tag}:producers`,
    answers: `${tag}:answers`,
    claims: `${tag}:claims`,
    nodes: `${tag}:nodes`,
    marks: `${tag}:marks`,
    times: `${tag}:times`,
    large: `${tag}:large`,
    largeTimes: `${tag}:large-times`,
    live: `${tag}:live:`,
  };
}

/** The keys of session info in one namespace. They carry the tag of its log. */
export type InfoKeys = {
  /** Sorted set: session to the moment at which it is forgotten. */
  readonly due: string;
  /** Sorted set, by name alone: hash of a URI, colon, session. */
  readonly subscribers: string;
  /** Hash: hash of a URI to the URI, as long as anybody is subscribed to it. */
  readonly uris: string;
  /** Hash: what is known of a session. */
  session(id: string): string;
};

/** @param prefix `keyPrefix`, without braces */
export function infoKeys(prefix: string, namespace: string): InfoKeys {
  const tag = hashTag(prefix, namespace);
  return {
    due: `${tag}:info-due`,
    subscribers: `${tag}:info-subscribers`,
    uris: `${tag}:info-uris`,
    session: (id) => `${tag}:info:${encodeName(id)}`,
  };
}

function hashTag(prefix: string, namespace: string): string {
  return `{${prefix}:${encodeName(namespace)}}`;
}

/** Text of others as part of a key: no brace, no colon, no two texts alike. */
export function encodeName(text: string): string {
  return Buffer.from(text, 'utf8').toString('base64url');
}
