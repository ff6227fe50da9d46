import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openSsl, type RedisServer, spawnNode, startRedis } from 'test-support';
import { describeWith } from 'test-support/vitest';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { redisSessions } from '../src/index.ts';

describeWith(openSsl, 'rediss://', () => {
  let server: RedisServer;
  let files: string;
  beforeAll(async () => {
    server = await startRedis({ settings: { requirepass: 'p@ss:w%rd' }, tls: true });
    files = mkdtempSync(join(tmpdir(), 'tmcp-tls-'));
  });
  afterAll(async () => {
    await server.stop();
    rmSync(files, { recursive: true, force: true });
  });

  it('tls/trusted: with a certificate that the process trusts both connections work, and end', async () => {
    const authority = join(files, 'ca.pem');
    writeFileSync(authority, server.ca ?? '');
    const program = new URL('./faults/programs/leaving.ts', import.meta.url);
    await using user = await spawnNode(program, ['closed', server.url], { NODE_EXTRA_CA_CERTS: authority });
    await user.nextMessage((message) => message === 'done', { timeoutMs: 30_000 });
    expect(await user.exited).toEqual({ code: 0, signal: null });
  });

  it('tls/untrusted: a certificate that nobody has signed is refused, before anybody logs in', async () => {
    const sessions = redisSessions({ url: server.url, sendTimeoutMs: 3_000, onError: () => undefined });
    const { streams, info } = sessions.sessionManager;
    for (const call of [streams.has('s'), info.setLogLevel('s', 'debug')]) {
      await expect(call).rejects.toMatchObject({ code: 'unavailable', cause: { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' } });
    }
    await sessions.close();
  });
});
