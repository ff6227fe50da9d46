// Uses managers in one of several ways, then has nothing left to do.
import { leave } from 'test-support/faults';
import {
  RedisInfoSessionManager,
  RedisStreamSessionManager,
  RedisSubscriptionManager,
  redisSessions,
} from '../../../src/index.ts';

await leave(
  (url, options) => redisSessions({ url, ...options }),
  (url) => {
    new RedisStreamSessionManager({ url });
    new RedisSubscriptionManager({ url });
    new RedisInfoSessionManager({ url });
  },
);
