import type { RedisNode } from './redis-client.ts';

/** How a server is set up against losing sessions, as far as we may read it. */
export async function serverWarnings(node: RedisNode): Promise<string[]> {
  const info = await ask(node, 'info');
  const settings = { ...(await config(node, 'maxmemory-policy')), ...(await config(node, 'save')) };
  const warnings: string[] = [];
  const policy = settings['maxmemory-policy'] ?? field(info, 'maxmemory_policy');
  if (policy !== undefined && policy !== 'noeviction') {
    warnings.push(`Redis may evict sessions: maxmemory-policy is ${policy}, use noeviction`);
  }
  if (field(info, 'aof_enabled') === '0' && settings.save === '') {
    warnings.push('Redis keeps sessions in memory only: turn on AOF or RDB');
  }
  return warnings;
}

async function config(node: RedisNode, name: string): Promise<Record<string, string>> {
  const answer = await ask(node, 'config', 'get', name);
  // RESP3 has maps.
  if (!Array.isArray(answer)) return (answer ?? {}) as Record<string, string>;
  return answer.length === 2 ? { [String(answer[0])]: String(answer[1]) } : {};
}

/** Hosted servers and careful administrators do not let everybody ask: then there is nothing to warn of. */
async function ask(node: RedisNode, command: string, ...args: string[]): Promise<unknown> {
  try {
    return await node.call(command, ...args);
  } catch (error) {
    if (/^(NOPERM|ERR unknown)/.test((error as Error).message)) return undefined;
    throw error;
  }
}

function field(info: unknown, name: string): string | undefined {
  return new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(String(info))?.[1];
}
