import { Client, escapeIdentifier } from 'pg';
import type { Contender } from '../contender.ts';
import { Connections } from './connections.ts';

const CONNECTIONS = 8;
const CHANNEL = 'bench';

/**
 * The bare loop: one `pg_notify` per message, 8 connections, all processes listening on one channel. It keeps nothing
 * and loses what is sent while a listener reconnects.
 */
export const notify: Contender = {
  title: 'plain NOTIFY, one per query, 8 connections',

  async openSender(url) {
    const connections = await Connections.open(url, CONNECTIONS);
    const query = { name: 'notify', text: 'select pg_notify($1, $2)' };
    return {
      async send(session, frame) {
        await connections.run((client) => client.query({ ...query, values: [CHANNEL, `${session}\n${frame}`] }));
      },
    };
  },

  async openReceiver(url) {
    const client = new Client({ connectionString: url });
    const controllers = new Map<string, ReadableStreamDefaultController<Uint8Array>>();
    const encoder = new TextEncoder();
    let passed = 0;
    client.on('notification', ({ payload = '' }) => {
      passed += 1;
      const line = payload.indexOf('\n');
      controllers.get(payload.slice(0, line))?.enqueue(encoder.encode(payload.slice(line + 1)));
    });
    await client.connect();
    await client.query(`listen ${escapeIdentifier(CHANNEL)}`);
    return {
      async hold(session, controller) {
        controllers.set(session, controller);
      },
      passed: () => passed,
    };
  },
};

/** The same with a channel for each session, as session managers do that know no log. */
export const channelPerSession: Contender = {
  title: 'one channel and query per session, 8 connections',

  async openSender(url) {
    const connections = await Connections.open(url, CONNECTIONS);
    const query = { name: 'notify', text: 'select pg_notify($1, $2)' };
    return {
      async send(session, frame) {
        await connections.run((client) => client.query({ ...query, values: [`session:${session}`, frame] }));
      },
    };
  },

  async openReceiver(url) {
    const client = new Client({ connectionString: url });
    const controllers = new Map<string, ReadableStreamDefaultController<Uint8Array>>();
    const encoder = new TextEncoder();
    client.on('notification', ({ channel, payload = '' }) => {
      controllers.get(channel)?.enqueue(encoder.encode(payload));
    });
    await client.connect();
    return {
      async hold(session, controller) {
        controllers.set(`session:${session}`, controller);
        await client.query(`listen ${escapeIdentifier(`session:${session}`)}`);
      },
      passed: () => undefined,
    };
  },
};
