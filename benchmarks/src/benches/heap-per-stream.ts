import type { BackendName } from '../backends/backend.ts';
import { backendNames } from '../backends/index.ts';
import type { Benchmark, Context, Report } from '../benchmark.ts';
import { Child } from '../child.ts';
import { interleave } from '../measure/rounds.ts';
import type { HeapUse } from '../programs/heap.ts';
import { figure } from '../report/format.ts';

const STREAMS = 10_000;
const REQUIRED_BYTES = 1_024;

export const heapPerStream: Benchmark = {
  title: 'Heap of an idle stream',
  needs: backendNames,

  async run({ backend, rounds, size }: Context): Promise<Report> {
    const streams = size(STREAMS);
    const measure = async (...where: string[]): Promise<HeapUse> => {
      await using child = await Child.start('heap.ts', where);
      return await child.call<HeapUse>('measure', streams);
    };
    const measureOn = async (name: BackendName): Promise<HeapUse> => {
      await using place = await backend(name).createPlace();
      return await measure(name, place.url);
    };
    const measured = await interleave(rounds, {
      postgres: () => measureOn('postgres'),
      redis: () => measureOn('redis'),
      memory: () => measure('memory'),
    });
    const most = Math.max(...backendNames.map((name) => measured.median(name, 'streamBytes')));
    return {
      method:
        `Heap after a full garbage collection, with ${figure(streams)} streams, per stream. The names of the sessions ` +
        'and the streams with their controllers stand before and after; the entries of the claims that a node keeps ' +
        'among its recent ones are counted.',
      tables: [
        {
          head: ['', 'bytes'],
          rows: [
            ['a `ReadableStream` with its controller', figure(measured.median('postgres', 'controllerBytes'))],
            ...backendNames.map((name) => [
              `what the manager on ${backend(name).title} adds`,
              figure(measured.median(name, 'streamBytes')),
            ]),
            [
              'what the in-memory manager adds, its log and claims included',
              figure(measured.median('memory', 'streamBytes')),
            ],
          ],
        },
      ],
      targets: [
        {
          what: 'heap per idle stream beside the controller',
          required: `≤ ${figure(REQUIRED_BYTES)} bytes`,
          measured: figure(most),
          reached: most <= REQUIRED_BYTES,
        },
      ],
    };
  },
};
