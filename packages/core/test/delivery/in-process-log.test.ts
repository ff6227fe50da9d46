import { expect, it } from 'vitest';
import { type Batch, type ControlOperation, LOST } from '../../src/delivery/backplane.ts';
import { InProcessLog } from '../../src/in-memory/in-process-log.ts';

function appender(log: InProcessLog): (operation: ControlOperation) => ReturnType<InProcessLog['append']>['answer'] {
  let number = 0;
  return (operation) => {
    number += 1;
    const parts = [{ count: 1, head: '[{}]', data: '', bytes: 4 }];
    const batch: Batch = {
      ...{ epoch: log.epoch, node: 'n', producer: 'p', number, acknowledged: number - 1 },
      ...{ parts, controls: [operation] },
    };
    return log.append(batch).answer;
  };
}

it('memory/lost-stays: what a new epoch lost stays lost, whatever an earlier life of the log still says', () => {
  const log = new InProcessLog();
  const append = appender(log);
  append({ kind: 'claim', offset: 1, session: 'a', claim: 'c1' });
  log.renewEpoch();
  append({ kind: 'release', offset: 1, session: 'a', claim: 'c1', detach: 1, sent: 1 });
  expect(append({ kind: 'claim', offset: 1, session: 'a', claim: 'c2' })).toMatchObject({
    claims: [{ floor: 3, previous: { claim: 'c1', detach: LOST } }],
  });
});

it('memory/gap-again: that acknowledged batches are gone is said again to whoever missed the first answer', () => {
  const log = new InProcessLog();
  const parts = [{ count: 1, head: '[[0,1]]', data: 'x', bytes: 8 }];
  const batch: Batch = { epoch: log.epoch, node: 'n', producer: 'p', number: 3, acknowledged: 2, parts, controls: [] };
  expect(log.append(batch).answer).toMatchObject({ state: 'stored', gap: true });
  expect(log.append(batch).answer).toMatchObject({ state: 'stored', gap: true, last: 1 });
});
