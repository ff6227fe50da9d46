import { afterEach, describe, expect, it } from 'vitest';
import { InMemoryStreamSessionManager, InProcessHub, type SessionError } from '../../src/index.ts';
import { frame, frameOfSize, HINTS } from '../../src/testing/messages.ts';
import { TestClient } from '../../src/testing/test-client.ts';

const reports: string[] = [];
const onError = ({ code }: SessionError): void => void reports.push(code);
const open: { close(): Promise<void> }[] = [];

afterEach(async () => {
  await Promise.all(open.splice(0).map((manager) => manager.close()));
  reports.length = 0;
});

function openStreams(hub: InProcessHub, maxLogBytes?: number): InMemoryStreamSessionManager {
  const streams = new InMemoryStreamSessionManager({ hub, onError, maxLogBytes, heartbeatMs: 50 });
  open.push(streams);
  return streams;
}

describe('large messages', () => {
  it('memory/large-bounded: large messages count towards "maxLogBytes", and the newest stays', async () => {
    const hub = new InProcessHub();
    const streams = openStreams(hub, 350_000);
    for (let i = 0; i < 20; i += 1) await streams.publish(undefined, frameOfSize(`${i}`, 100_000));
    const { log } = hub.namespace('default');
    await expect.poll(() => log.large.size).toBe(3);
    expect([...log.large.values()].at(-1)?.payload).toContain('"19"');
    await streams.publish(undefined, frameOfSize('20', 400_000));
    await expect.poll(() => log.large.size).toBe(1);
  });

  it('replay/large-gone: a client that resumes before one that is gone goes live, and is told', async () => {
    const hub = new InProcessHub();
    const streams = openStreams(hub);
    const client = new TestClient('session');
    await client.connect(streams);
    await streams.publish([client.session], frame('1'));
    await client.receives('1');
    await client.stream.cancel();
    await streams.publish([client.session], frameOfSize('2', 100_000));
    hub.namespace('default').log.large.clear();
    const again = await client.connect(streams, { resume: true });
    await expect.poll(() => reports).toEqual(['not-resumed']);
    await streams.publish([client.session], frame('3'));
    await client.receives('3', again);
    expect(again.labels).toEqual([...HINTS, '3']);
  });
});
