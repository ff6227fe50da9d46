import { SessionError } from '@tmcp/session-manager';
import type { RedisConnection } from './redis-connection.ts';
import { Script } from './script.ts';

/** In a script, for the server that holds the keys: in a Cluster each has settings of its own. */
const information: Script = new Script(`
redis.call('EXISTS', KEYS[1])
return {redis.call('INFO', 'memory'), redis.call('INFO', 'persistence')}
`);

/** What of the server's settings weakens a promise. @param key one that the server in question holds */
export async function checkSettings(connection: RedisConnection, key: string): Promise<SessionError[]> {
  const answer = (await connection.run(information, [key])) as readonly unknown[];
  const [memory = '', persistence = ''] = answer.map(String);
  const read = (text: string, name: string): string => new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(text)?.[1] ?? '';
  const warnings: SessionError[] = [];
  const policy = read(memory, 'maxmemory_policy');
  if (policy !== '' && policy !== 'noeviction' && read(memory, 'maxmemory') !== '0') {
    warnings.push(
      new SessionError(
        'configuration',
        `Redis removes keys when its memory is full ("maxmemory-policy" is ${policy}): sessions and messages get lost; ` +
          'set it to noeviction',
      ),
    );
  }
  if (read(persistence, 'aof_enabled') === '0') {
    warnings.push(
      new SessionError(
        'configuration',
        'Redis writes no append-only file ("appendonly" is no): a restart forgets sessions and messages; set it to yes, ' +
          'or accept that clients begin anew after one',
      ),
    );
  }
  return warnings;
}
