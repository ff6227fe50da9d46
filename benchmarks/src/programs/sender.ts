// Sends through one contender: `node sender.ts <backend> <contender> <url>`.

import type { BackendName } from '../backends/backend.ts';
import { sharedNow } from '../clock.ts';
import { contender } from '../contenders/index.ts';
import { makeFrame } from '../frame.ts';
import { percentile } from '../measure/statistics.ts';
import { serve } from './serve.ts';

const [backend, name = '', url = ''] = process.argv.slice(2);
const sender = await contender(backend as BackendName, name).openSender(url);
const sent = new Map<string, number>();

serve({
  /** Each session gets messages from a loop of its own, the next as soon as the last is acknowledged. */
  async flood({ sessions, durationMs, limit }: Flood): Promise<SenderRound> {
    const startedAt = sharedNow();
    const until = performance.now() + durationMs;
    const delays: number[] = [];
    const loop = async (session: string): Promise<void> => {
      let number = sent.get(session) ?? 0;
      for (let count = 0; count < limit && performance.now() < until; count += 1) {
        const at = performance.now();
        await sender.send(session, makeFrame(number++));
        delays.push(performance.now() - at);
      }
      sent.set(session, number);
    };
    await Promise.all(sessions.map(loop));
    return summary(startedAt, delays);
  },

  /** So many messages per second, whether acknowledged or not. */
  async pace({ sessions, durationMs, rate }: Pace): Promise<SenderRound> {
    const startedAt = sharedNow();
    const begun = performance.now();
    const delays: number[] = [];
    const running: Promise<void>[] = [];
    const sendOne = async (session: string): Promise<void> => {
      const number = sent.get(session) ?? 0;
      sent.set(session, number + 1);
      const at = performance.now();
      await sender.send(session, makeFrame(number));
      delays.push(performance.now() - at);
    };
    const total = (rate * durationMs) / 1_000;
    for (let count = 0; count < total; ) {
      const due = Math.min(total, ((performance.now() - begun) * rate) / 1_000);
      for (; count < due; count += 1) running.push(sendOne(sessions[count % sessions.length] ?? ''));
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    await Promise.all(running);
    return summary(startedAt, delays);
  },

  /** Fills the log with messages, `mine` of them to one session and numbered from 1. */
  async fill({ window, mine, session }: { window: number; mine: number; session: string }): Promise<void> {
    const every = Math.floor(window / mine);
    for (let sent = 0; sent < window; ) {
      const batch: Promise<void>[] = [];
      for (; batch.length < 1_000 && sent < window; sent += 1) {
        const isMine = (sent + 1) % every === 0;
        const to = isMine ? session : `other-${sent % 1_000}`;
        batch.push(sender.send(to, makeFrame(isMine ? (sent + 1) / every : 0)));
      }
      await Promise.all(batch);
    }
  },

  async broadcast(number: number): Promise<{ startedAt: number }> {
    const startedAt = sharedNow();
    if (!sender.broadcast) throw new Error(`${name} has no broadcast`);
    await sender.broadcast(makeFrame(number));
    return { startedAt };
  },

  /** The same message to each of many sessions, so many at a time. */
  async sendToEach({ sessions, number, inFlight }: SendToEach): Promise<{ startedAt: number }> {
    const startedAt = sharedNow();
    let next = 0;
    const loop = async (): Promise<void> => {
      for (let session = sessions[next++]; session !== undefined; session = sessions[next++]) {
        await sender.send(session, makeFrame(number));
      }
    };
    await Promise.all(Array.from({ length: inFlight }, loop));
    return { startedAt };
  },
});

function summary(startedAt: number, delays: readonly number[]): SenderRound {
  return {
    startedAt,
    sent: delays.length,
    ackP50Ms: percentile(delays, 0.5),
    ackP99Ms: percentile(delays, 0.99),
  };
}

type Flood = { sessions: readonly string[]; durationMs: number; limit: number };
type SendToEach = { sessions: readonly string[]; number: number; inFlight: number };
type Pace = { sessions: readonly string[]; durationMs: number; rate: number };

export type SenderRound = {
  /** `sharedNow()` */
  readonly startedAt: number;
  readonly sent: number;
  readonly ackP50Ms: number;
  readonly ackP99Ms: number;
};
