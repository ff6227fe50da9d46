import type { Backend, Place } from './backends/backend.ts';
import { Child } from './child.ts';
import { contender } from './contenders/index.ts';
import type { Figures } from './measure/rounds.ts';
import type { ReceiverRound } from './programs/receiver.ts';

/** One process that holds many streams, and one that sends to all of them. */
export class Audience implements AsyncDisposable {
  static async start(backend: Backend, name: string, streams: number): Promise<Audience> {
    const place = await backend.createPlace(contender(backend.name, name).place);
    const sessions = Array.from({ length: streams }, (_, index) => `session-${index}`);
    const args = [backend.name, name, place.url];
    const holder = await Child.start('receiver.ts', args);
    const sender = await Child.start('sender.ts', args);
    await holder.call('hold', sessions);
    return new Audience(place, sender, holder, sessions, name === 'published');
  }

  readonly #place: Place;
  readonly #sender: Child;
  readonly #holder: Child;
  readonly #sessions: readonly string[];
  readonly #mayLose: boolean;
  #number = 0;

  private constructor(place: Place, sender: Child, holder: Child, sessions: readonly string[], mayLose: boolean) {
    this.#place = place;
    this.#sender = sender;
    this.#holder = holder;
    this.#sessions = sessions;
    this.#mayLose = mayLose;
  }

  broadcast(): Promise<Figures> {
    return this.#measure('broadcast', this.#number);
  }

  /** One message to each session, so many at a time. */
  sendToEach(inFlight: number): Promise<Figures> {
    return this.#measure('sendToEach', { sessions: this.#sessions, number: this.#number, inFlight });
  }

  /** @throws when a stream did not get it, or got another one; the published manager may lose some */
  async #measure(method: string, argument: unknown): Promise<Figures> {
    this.#number += 1;
    await this.#holder.call('begin');
    const { startedAt } = await this.#sender.call<{ startedAt: number }>(method, argument);
    const mine = this.#sessions.length;
    const { received, disordered, handedAt } = await this.#holder.call<ReceiverRound>('finish', { mine, all: 0 });
    if (!this.#mayLose && (received !== mine || disordered > 0)) {
      throw new Error(`${received} of ${mine} arrived, ${disordered} out of order`);
    }
    return { ms: handedAt - startedAt, lost: mine - received };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#sender[Symbol.asyncDispose]();
    await this.#holder[Symbol.asyncDispose]();
    await this.#place[Symbol.asyncDispose]();
  }
}
