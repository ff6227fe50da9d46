import { setTimeout as sleep } from 'node:timers/promises';
import { type NodeExit, type NodeProcess, type PostgresServer, spawnNode, startPostgres, TcpProxy } from 'test-support';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { postgresSessions } from '../../src/index.ts';
import { figure } from './support/figures.ts';
import { seeded } from './support/random.ts';
import { noConnectionIsLeft, Rig } from './support/rig.ts';
import { LocalNode } from './support/test-node.ts';

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server.stop());

const PROGRAM = new URL('./programs/leaving.ts', import.meta.url);

/** Runs a way of `programs/leaving.ts` until it has nothing left to do. */
async function start(way: string, url: string): Promise<NodeProcess> {
  const process = await spawnNode(PROGRAM, [way, url]);
  await process.nextMessage((message) => message === 'done', { timeoutMs: 20_000 });
  return process;
}

/** Waits for an end of its own accord. */
async function ends(process: NodeProcess, name: string): Promise<NodeExit | string> {
  const began = performance.now();
  const exit = await Promise.race([process.exited, sleep(10_000, `it did not end: ${process.output}`)]);
  figure(`leaving, ${name}: process ends after`, performance.now() - began);
  return exit;
}

const CLEAN_EXIT: NodeExit = { code: 0, signal: null };

describe.concurrent('a process that has nothing left to do', () => {
  it('faults/exit-closed: ends by itself once it has closed its managers, and leaves no connection', async () => {
    const url = await server.createDatabase();
    await using process = await start('closed', url);
    expect(await ends(process, 'closed')).toEqual(CLEAN_EXIT);
    await noConnectionIsLeft(url);
  });

  it('faults/exit-unused: ends by itself when its managers were never called', async () => {
    await using process = await start('unused', server.url);
    expect(await ends(process, 'unused')).toEqual(CLEAN_EXIT);
  });

  it('faults/exit-unreachable: ends by itself without closing when no server answers', async () => {
    await using proxy = await TcpProxy.start(server);
    await proxy.refuse(true);
    await using process = await start('unreachable', proxy.url(server.url));
    expect(await ends(process, 'unreachable')).toEqual(CLEAN_EXIT);
  });

  it('faults/exit-left: ends by itself without closing once its connections are gone, for timers do not hold it', async () => {
    await using proxy = await TcpProxy.start(server);
    await using process = await start('left', proxy.url(await server.createDatabase()));
    await proxy.refuse(true);
    proxy.cutAll();
    expect(await ends(process, 'left')).toEqual(CLEAN_EXIT);
  });
});

describe.concurrent('managers that are closed at any moment', () => {
  it('faults/close-any-time: sixty managers closed while they open, work and reconnect leave no connection', async () => {
    await using rig = await Rig.on(server);
    const { proxy, url } = await rig.proxy();
    const random = seeded(7);
    const life = async (i: number): Promise<void> => {
      const node = new LocalNode({ connectionString: i % 2 ? url : rig.url, heartbeatMs: 20, sendTimeoutMs: 2_000 });
      const calls = [
        node.publish(undefined, 'data: x\n\n'),
        node.open(`session-${i}`).created,
        node.has('a'),
        node.delete(`session-${i}`),
      ].map((call) => call.catch(() => undefined));
      await sleep(random.below(120));
      if (i % 5 === 0) proxy.cutAll();
      await Promise.all([node.close(), ...calls]);
    };
    for (let round = 0; round < 6; round += 1) {
      await Promise.all(Array.from({ length: 10 }, (_, i) => life(round * 10 + i)));
    }
  });

  it('faults/close-namespaces: namespaces closed one by one, at once and twice leave no connection', async () => {
    const url = await server.createDatabase();
    const random = seeded(11);
    for (let round = 0; round < 5; round += 1) {
      const sessions = postgresSessions({ connectionString: url, heartbeatMs: 20, onError: () => undefined });
      const others = ['a', 'b', 'c'].map((name) => sessions.namespace(name));
      const sends = [sessions, ...others].map(({ sessionManager }) =>
        sessionManager.streams.send(undefined, 'data: 1\n\n'),
      );
      await sleep(random.below(80));
      await Promise.all([others[0]?.close(), others[0]?.close(), others[1]?.close()]);
      await Promise.all([sessions.close(), sessions.close(), ...sends]);
      await noConnectionIsLeft(url);
    }
  });
});
