import { Redis } from 'ioredis';
import { type RedisSentinel, redisServer, startRedisSentinel } from 'test-support';
import { describeWith } from 'test-support/vitest';
import { afterAll, beforeAll } from 'vitest';
import { kitOnClients } from './kit-on-clients.ts';

let group: RedisSentinel;
const clients: Redis[] = [];

describeWith(redisServer, 'a replica that took over, found by way of Sentinel', () => {
  beforeAll(async () => {
    group = await startRedisSentinel();
    await group.failover();
  });
  afterAll(async () => {
    for (const client of clients) client.disconnect();
    await group.stop();
  });

  kitOnClients({
    name: 'Redis Sentinel',
    connect: (natMap = {}) => {
      const client = new Redis({ sentinels: group.sentinels, name: group.name, natMap });
      client.on('error', () => undefined);
      clients.push(client);
      return client;
    },
    servers: () => group.servers,
  });
});
