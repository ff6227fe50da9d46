/** One message that was given to `publish`, and what became of it. */
export type Message = {
  readonly label: string;
  /** `undefined` is everyone. */
  readonly to: readonly string[] | undefined;
  readonly sender: string;
  readonly began: number;
  /** When `publish` resolved. */
  accepted: number | undefined;
  /** The code with which it rejected: it may have been stored or not. */
  refused: string | undefined;
};

/**
 * Everything that was sent in a test. Times are those of one counter of this process: what happened before what is all that
 * counts.
 */
export class Ledger {
  readonly messages: Message[] = [];
  #time = 0;
  #senders = 0;

  now(): number {
    this.#time += 1;
    return this.#time;
  }

  /** A name under which messages are sent one after the other. */
  sender(): Sender {
    this.#senders += 1;
    return new Sender(this, `s${this.#senders}`);
  }

  get accepted(): number {
    return this.messages.filter((message) => message.accepted !== undefined).length;
  }

  /** Codes of refusals, with their numbers. */
  get refusals(): Record<string, number> {
    const codes: Record<string, number> = {};
    for (const { refused } of this.messages) if (refused) codes[refused] = (codes[refused] ?? 0) + 1;
    return codes;
  }
}

export class Sender {
  readonly name: string;
  readonly #ledger: Ledger;
  #count = 0;

  constructor(ledger: Ledger, name: string) {
    this.#ledger = ledger;
    this.name = name;
  }

  /** @param publish sends the frame; its rejection is noted, not thrown. */
  async send(to: readonly string[] | undefined, publish: (label: string) => Promise<void>): Promise<Message> {
    this.#count += 1;
    const began = this.#ledger.now();
    const label = `${this.name}:${this.#count}`;
    const message: Message = { label, to, sender: this.name, began, accepted: undefined, refused: undefined };
    this.#ledger.messages.push(message);
    try {
      await publish(label);
      message.accepted = this.#ledger.now();
    } catch (error) {
      message.refused = (error as { code?: string }).code ?? String(error);
    }
    return message;
  }
}
