// Uses managers in one of several ways, then has nothing left to do.
import { leave } from 'test-support/faults';
import {
  PostgresInfoSessionManager,
  PostgresStreamSessionManager,
  PostgresSubscriptionManager,
  postgresSessions,
} from '../../../src/index.ts';

await leave(
  (connectionString, options) => postgresSessions({ connectionString, ...options }),
  (connectionString) => {
    new PostgresStreamSessionManager({ connectionString });
    new PostgresSubscriptionManager({ connectionString });
    new PostgresInfoSessionManager({ connectionString });
  },
);
