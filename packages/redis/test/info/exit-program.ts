import { RedisInfoSessionManager } from '../../src/redis-info-session-manager.ts';

// Never closed: the process has to end by itself, but not before its call has been answered.
const [url = ''] = process.argv.slice(2);
const info = new RedisInfoSessionManager({ url, sendTimeoutMs: 800, onError: () => undefined });
const answer = await info.setClientInfo('exit', { name: 'client', version: '1' }).then(
  () => 'stored',
  ({ code }: { code: string }) => code,
);
console.log(answer);
