import { SessionStoreError, type WriteOutcome } from './errors.ts';
import { redact } from './redact.ts';

// The wording is part of the interface: applications and their logs match it.

export function exists(sessionId: string): SessionStoreError {
  return new SessionStoreError('exists', `Session ${sessionId} already exists`, { outcome: 'not-applied' });
}

export function notFound(sessionId: string, outcome?: WriteOutcome): SessionStoreError {
  return new SessionStoreError('not_found', `Session ${sessionId} not found`, { outcome });
}

export function conflict(sessionId: string): SessionStoreError {
  return new SessionStoreError('conflict', `Session ${sessionId} was changed by another writer`, {
    outcome: 'not-applied',
  });
}

export function invalidField(field: string, reason: string): SessionStoreError {
  return invalid(`Invalid session field ${field}: ${reason}`);
}

export function invalid(message: string): SessionStoreError {
  return new SessionStoreError('validation', message, { outcome: 'not-applied' });
}

export function configError(message: string, cause?: unknown): SessionStoreError {
  return new SessionStoreError('config', message, { cause: redact(cause) });
}

/** The package of a driver that only some users need is not installed. */
export function missingPackage(backend: string, name: string, cause: unknown): SessionStoreError {
  return configError(`The ${backend} backend needs the package ${name}: npm install ${name}`, cause);
}

export function locked(sessionId: string): SessionStoreError {
  return new SessionStoreError('locked', `Session ${sessionId} is locked by another writer`, {
    outcome: 'not-applied',
  });
}

/** @param cause what the holder of the lock failed with, when it noticed */
export function lockLost(sessionId: string, cause?: unknown): SessionStoreError {
  return new SessionStoreError('lock_lost', `The lock on session ${sessionId} was lost`, { cause });
}

export function closed(): SessionStoreError {
  return new SessionStoreError('closed', 'Session store is closed', { outcome: 'not-applied' });
}

/** @param cause of the driver; it is redacted here */
export function unavailable(
  backend: string,
  operation: string,
  options: { cause?: unknown; outcome?: WriteOutcome | undefined } = {},
): SessionStoreError {
  return new SessionStoreError('unavailable', `Storage backend ${backend} is unavailable: ${operation} failed`, {
    cause: redact(options.cause),
    outcome: options.outcome,
  });
}

export function timedOut(
  backend: string,
  operation: string,
  ms: number,
  options: { cause?: unknown; outcome?: WriteOutcome | undefined } = {},
): SessionStoreError {
  return new SessionStoreError(
    'unavailable',
    `Storage backend ${backend} is unavailable: ${operation} timed out after ${ms} ms`,
    { cause: redact(options.cause), outcome: options.outcome },
  );
}

/**
 * Rejects again, and says what became of the write where that was left open: the error of a start is shared by reads and
 * writes, and what refuses a value it has read does not know that a write was meant.
 */
export function saying(outcome: WriteOutcome | undefined, codes?: ReadonlySet<string>): (error: unknown) => never {
  return (error) => {
    if (!SessionStoreError.is(error) || outcome === undefined || error.outcome !== undefined) throw error;
    if (codes?.has(error.code) === false) throw error;
    throw new SessionStoreError(error.code, error.message, { cause: error.cause, outcome });
  };
}
