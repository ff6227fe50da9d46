// Uses `sessions` and ends without disconnecting; prints what was loaded, and how it went.
const { sessions } = await import('../../../src/index.ts');
const { loaded } = globalThis as unknown as { loaded: string[] };
const byImport = [...loaded];
const id = sessions.generateSessionId();
let error: unknown;
try {
  await sessions.create({
    sessionId: id,
    userId: 'u',
    serverUrl: 'https://x',
    callbackUrl: 'https://y',
    transportType: 'sse',
    createdAt: Date.now(),
  });
} catch (reason) {
  const { code, message } = reason as { code: string; message: string };
  error = { code, message };
}
console.log(
  JSON.stringify({
    byImport,
    byUse: loaded.slice(byImport.length),
    error,
    ids: error ? [] : await sessions.listIds('u'),
  }),
);
