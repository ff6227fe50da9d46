import { TestClient } from '@tmcp/session-manager/testing';
import { expect, test } from 'vitest';
import { DurableObjectStreamSessionManager } from '../../src/index.ts';
import { relayed } from './relay.ts';

function frame(label: string): string {
  return `event: message\ndata: ${JSON.stringify({ params: { label } })}\n\n`;
}

test('cut/superseded: a stream whose socket breaks as it is superseded says where it stopped, and nothing is repeated', async () => {
  const namespace = 'cut/superseded';
  let isCut = false;
  const binding = relayed(({ type }) => {
    if (type !== 'superseded' || isCut) return false;
    isCut = true;
    return true;
  });
  const first = new DurableObjectStreamSessionManager({ binding, namespace, shards: 1 });
  const second = new DurableObjectStreamSessionManager({ namespace, shards: 1 });
  const client = new TestClient('s');
  await client.connect(first);
  await first.publish(['s'], frame('1'));
  await client.receives('1');
  await client.connect(second);
  await client.hasExactly(second, ['1']);
  expect(isCut).toBe(true);
  await Promise.all([first.close(), second.close()]);
});
