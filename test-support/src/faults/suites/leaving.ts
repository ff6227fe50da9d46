import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { type NodeExit, type NodeProcess, spawnNode } from '../../spawn-node.ts';
import type { MakeRig } from '../fault-rig.ts';
import { figure } from '../figures.ts';
import type { Sessions, SessionsOptions } from '../leave.ts';
import { seeded } from '../random.ts';

export type LeavingBackend = {
  readonly makeRig: MakeRig;
  /** Calls `leave`. */
  readonly program: URL;
  makeSessions(url: string, options: SessionsOptions): Sessions;
};

const CLEAN_EXIT: NodeExit = { code: 0, signal: null };

/** Runs the program in one of its ways until it has nothing left to do. */
async function start(program: URL, way: string, url: string): Promise<NodeProcess> {
  const process = await spawnNode(program, [way, url]);
  await process.nextMessage((message) => message === 'done', { timeoutMs: 30_000 });
  return process;
}

/** Waits for an end of its own accord: sooner than any deadline of a call would bring it about. */
async function ends(process: NodeProcess, name: string): Promise<NodeExit | string> {
  const began = performance.now();
  const exit = await Promise.race([process.exited, sleep(8_000, `it did not end: ${process.output}`, { ref: false })]);
  figure(`leaving, ${name}: process ends after`, performance.now() - began);
  return exit;
}

/** Processes that end, and managers that are closed at any moment. That no connection is left is seen by the rig. */
export function leavingSuite({ makeRig, program, makeSessions }: LeavingBackend): void {
  describe.concurrent('a process that has nothing left to do', () => {
    it('faults/exit-closed: ends by itself once it has closed its managers, and leaves no connection', async () => {
      await using rig = await makeRig();
      await using process = await start(program, 'closed', rig.url);
      expect(await ends(process, 'closed')).toEqual(CLEAN_EXIT);
    });

    it('faults/exit-unused: ends by itself when its managers were never called', async () => {
      await using rig = await makeRig();
      await using process = await start(program, 'unused', rig.url);
      expect(await ends(process, 'unused')).toEqual(CLEAN_EXIT);
    });

    it('faults/exit-unreachable: ends by itself without closing when no server answers', async () => {
      await using rig = await makeRig();
      const { proxy, url } = await rig.proxy();
      await proxy.refuse(true);
      await using process = await start(program, 'unreachable', url);
      expect(await ends(process, 'unreachable')).toEqual(CLEAN_EXIT);
    });

    it('faults/exit-left: ends by itself without closing once its connections are gone, for timers do not hold it', async () => {
      await using rig = await makeRig();
      const { proxy, url } = await rig.proxy();
      await using process = await start(program, 'left', url);
      await proxy.refuse(true);
      proxy.cutAll();
      expect(await ends(process, 'left')).toEqual(CLEAN_EXIT);
    });
  });

  describe.concurrent('managers that are closed at any moment', () => {
    it('faults/close-any-time: sixty sets closed while they open, work and reconnect leave no connection', async () => {
      await using rig = await makeRig();
      const { proxy, url } = await rig.proxy();
      const random = seeded(7);
      const life = async (i: number): Promise<void> => {
        const options = { heartbeatMs: 20, sendTimeoutMs: 2_000, onError: () => undefined };
        const sessions = makeSessions(i % 2 ? url : rig.url, options);
        const { streams, info } = sessions.namespace(`n${i % 3}`).sessionManager;
        let created: unknown;
        new ReadableStream({
          start(controller) {
            created = streams.create(`session-${i}`, controller);
          },
        });
        const calls = [
          streams.publish(undefined, 'data: x\n\n'),
          created,
          streams.has('a'),
          streams.delete(`session-${i}`),
          info.setLogLevel('s', 'debug'),
          info.getLogLevel('s'),
          info.delete('s'),
        ].map((call) => Promise.resolve(call).catch(() => undefined));
        await sleep(random.below(120));
        if (i % 5 === 0) proxy.cutAll();
        await Promise.all([sessions.close(), sessions.close(), ...calls]);
      };
      for (let round = 0; round < 6; round += 1) {
        await Promise.all(Array.from({ length: 10 }, (_, i) => life(round * 10 + i)));
      }
    });

    it('faults/close-namespaces: namespaces closed one by one, at once and twice leave no connection', async () => {
      const random = seeded(11);
      for (let round = 0; round < 5; round += 1) {
        await using rig = await makeRig();
        const sessions = makeSessions(rig.url, { heartbeatMs: 20, onError: () => undefined });
        const others = ['a', 'b', 'c'].map((name) => sessions.namespace(name));
        const sends = [sessions, ...others].map(({ sessionManager }) =>
          sessionManager.streams.send(undefined, 'data: 1\n\n'),
        );
        await sleep(random.below(80));
        await Promise.all([others[0]?.close(), others[0]?.close(), others[1]?.close()]);
        await Promise.all([sessions.close(), sessions.close(), ...sends]);
        expect(() => sessions.namespace('d')).toThrowError(expect.objectContaining({ code: 'closed' }));
      }
    });
  });
}
