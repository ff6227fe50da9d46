import { env } from 'cloudflare:workers';
import { expect, test } from 'vitest';
import { DurableObjectInfoSessionManager } from '../../src/index.ts';
import type { InfoShard } from '../../src/protocol.ts';
import { gate } from './gate.ts';

/** The binding, whose writes of session info are held up until `open` is called. */
function heldUp(): { binding: DurableObjectNamespace; open: () => void } {
  const objects = env.TMCP_DURABLE_OBJECT;
  const way = gate();
  const binding = {
    idFromName: (name: string) => objects.idFromName(name),
    get: (id: DurableObjectId) => ({
      setInfo: async (...args: Parameters<InfoShard['setInfo']>) => {
        await way.isOpen;
        return (objects.get(id) as unknown as InfoShard).setInfo(...args);
      },
    }),
  } as unknown as DurableObjectNamespace;
  return { binding, open: way.open };
}

test.for([
  ['on-its-way', 'a write that is held up on its way does'],
  ['behind-it', 'one that waits behind it does'],
] as const)('info-late/%s: %s not bring back a session that was deleted meanwhile', async ([name]) => {
  const namespace = `info-late/${name}`;
  const { binding, open } = heldUp();
  const info = new DurableObjectInfoSessionManager({ namespace });
  const slow = new DurableObjectInfoSessionManager({ binding, namespace });
  const other = name === 'behind-it' ? slow : new DurableObjectInfoSessionManager({ binding, namespace });
  const written = [slow.setLogLevel('s', 'debug'), other.addSubscription('s', 'mem://a')];
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  await info.delete('s');
  open();
  await Promise.all(written);
  await expect(info.getLogLevel('s')).rejects.toMatchObject({ code: 'not-found' });
  expect(await info.getSubscriptions('mem://a')).toEqual([]);
});
