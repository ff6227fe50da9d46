import { PostgresInfoSessionManager } from '../../src/postgres-info-session-manager.ts';

// Never closed: the process has to end by itself, but not before its call has been answered.
const [connectionString] = process.argv.slice(2);
const info = new PostgresInfoSessionManager({ connectionString, sendTimeoutMs: 800, onError: () => undefined });
const answer = await info.setClientInfo('exit', { name: 'client', version: '1' }).then(
  () => 'stored',
  ({ code }: { code: string }) => code,
);
console.log(answer);
