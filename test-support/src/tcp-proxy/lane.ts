import type { Socket } from 'node:net';
import { reset } from './reset.ts';

/** Unread bytes beyond which a lane stops reading, so that the sender feels the back-pressure of a real network. */
const HIGH_WATER_BYTES = 64 * 1024;

interface Parcel {
  readonly dueAt: number;
  readonly size: number;
  readonly deliver: () => void;
}

export interface LaneOptions {
  /** Added to the time every chunk travels. */
  readonly delayMs: () => number;
  /** Whether nothing passes at the moment. */
  readonly isShut: () => boolean;
  /** Sees each chunk as it passes; `false` drops it. */
  readonly inspect: (chunk: Buffer) => boolean;
}

/**
 * One direction of a proxied connection. Bytes, end and reset pass in order: late if there is a delay, and not at all while
 * the lane is shut, after which they pass as retransmitted packets do when a network heals.
 */
export class Lane {
  readonly #source: Socket;
  readonly #destination: Socket;
  readonly #options: LaneOptions;
  readonly #parcels: Parcel[] = [];
  #heldBytes = 0;
  #waitsForDrain = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(source: Socket, destination: Socket, options: LaneOptions) {
    this.#source = source;
    this.#destination = destination;
    this.#options = options;
    source.on('data', (chunk: Buffer) => this.#take(chunk.length, () => this.#forward(chunk)));
    source.on('end', () => this.#take(0, () => this.#destination.end()));
    source.on('error', () => this.#take(0, () => reset(this.#destination)));
    destination.on('drain', () => {
      this.#waitsForDrain = false;
      this.flush();
    });
    destination.on('close', () => clearTimeout(this.#timer));
  }

  /** Lets pass what may pass now. To be called when the lane was opened. */
  flush(): void {
    clearTimeout(this.#timer);
    while (!this.#waitsForDrain && !this.#options.isShut()) {
      const parcel = this.#parcels[0];
      if (parcel === undefined) break;
      const waitMs = parcel.dueAt - performance.now();
      if (waitMs > 0) {
        this.#timer = setTimeout(() => this.flush(), Math.ceil(waitMs));
        break;
      }
      this.#parcels.shift();
      this.#heldBytes -= parcel.size;
      if (!this.#destination.destroyed) parcel.deliver();
    }
    if (this.#heldBytes >= HIGH_WATER_BYTES) this.#source.pause();
    else this.#source.resume();
  }

  #take(size: number, deliver: () => void): void {
    this.#parcels.push({ dueAt: performance.now() + this.#options.delayMs(), size, deliver });
    this.#heldBytes += size;
    this.flush();
  }

  #forward(chunk: Buffer): void {
    if (!this.#options.inspect(chunk) || this.#destination.destroyed) return;
    this.#waitsForDrain = !this.#destination.write(chunk);
  }
}
