import { Redis } from 'ioredis';
import { startRedis } from 'test-support';
import { redisSessions } from '../src/index.ts';

/** What the table of the README names, in bytes of one of each. */
export type MemoryUse = {
  readonly stream: number;
  readonly claim: number;
  readonly info: number;
  readonly subscription: number;
  readonly ownSubscription: number;
  readonly deleted: number;
  readonly aloneMessage: number;
  readonly batchedMessage: number;
  readonly largeMessage: number;
  /** What the log takes, by what `maxLogBytes` counts of it: for messages of 200 bytes that were sent alone. */
  readonly logFactor: number;
};

const LARGE_BYTES = 100 * 1024;

/** Fills a server of its own, and asks it. @param count how many sessions; large messages are a hundredth */
export async function measureMemory(count: number): Promise<MemoryUse> {
  await using server = await startRedis({ settings: { appendonly: 'yes' } });
  // Ten thousand calls at once take as long as the machine needs.
  await using sessions = redisSessions({ url: server.url, sendTimeoutMs: 60_000 });
  const { streams, info } = sessions.sessionManager;
  const redis = new Redis(server.url);
  const key = (name: string): string => `{tmcp:ZGVmYXVsdA}:${name}`;
  const used = async (): Promise<number> => {
    const memory = await redis.info('memory');
    const [all, aof] = ['used_memory', 'mem_aof_buffer'].map((name) => new RegExp(`${name}:(\\d+)`).exec(memory)?.[1]);
    // What waits for a busy disk is not what is kept.
    return Number(all) - Number(aof);
  };
  const usage = async (name: string): Promise<number> => (await redis.memory('USAGE', key(name), 'SAMPLES', 0)) ?? 0;
  const size = async (): Promise<number> => Number(await redis.hget(key('head'), 'bytes'));
  /** @returns bytes that one of them added */
  const each = async (times: number, fill: () => Promise<unknown>, look = used): Promise<number> => {
    const before = await look();
    await fill();
    return ((await look()) - before) / times;
  };

  const ids = Array.from({ length: count }, () => crypto.randomUUID());
  const all = (run: (id: string, index: number) => unknown): Promise<unknown> => Promise.all(ids.map(run));
  const frame = (bytes: number): string => `data: ${'x'.repeat(bytes - 8)}\n\n`;

  await streams.publish(undefined, ': hello\n\n');
  await info.setLogLevel('another', 'info');
  const claims: ReadableStreamDefaultController[] = [];
  const beforeStreams = await usage('log');
  const stream = await each(
    count,
    () =>
      all((id) => {
        new ReadableStream({ start: (controller) => void claims.push(controller) });
        return streams.create(id, claims.at(-1) as ReadableStreamDefaultController);
      }),
    () => usage('claims'),
  );
  const claim = ((await usage('log')) - beforeStreams) / count;
  const infoBytes = await each(count, () =>
    all((id) =>
      Promise.all([
        info.setClientInfo(id, { name: 'claude-ai', version: '0.1.0' }),
        info.setClientCapabilities(id, { roots: { listChanged: true }, sampling: {}, elicitation: {} }),
        info.setLogLevel(id, 'warning'),
      ]),
    ),
  );
  const subscription = await each(count, () => all((id) => info.addSubscription(id, 'file:///project/readme.md')));
  const ownSubscription = await each(count, () =>
    all((id, index) => info.addSubscription(id, `file:///project/document-${String(index).padStart(6, '0')}.md`)),
  );

  const sizeBefore = await size();
  const logBefore = await usage('log');
  for (const id of ids) await streams.publish([id], frame(200));
  const logBytes = (await usage('log')) - logBefore;
  const logFactor = logBytes / ((await size()) - sizeBefore);
  const batchedMessage = await each(
    count,
    () => all((id) => streams.publish([id], frame(200))),
    () => usage('log'),
  );
  const large = Math.ceil(count / 100);
  const largeMessage = await each(large, async () => {
    for (const id of ids.slice(0, large)) await streams.publish([id], frame(LARGE_BYTES));
  });
  const beforeDeletion = (await used()) - count * (infoBytes + subscription + ownSubscription);
  await all((id) => info.delete(id));
  const deleted = ((await used()) - beforeDeletion) / count;
  redis.disconnect();
  return {
    stream,
    claim,
    info: infoBytes,
    subscription,
    ownSubscription,
    deleted,
    aloneMessage: logBytes / count,
    batchedMessage,
    largeMessage,
    logFactor,
  };
}
