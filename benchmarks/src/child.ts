import { type NodeProcess, spawnNode } from 'test-support';
import { type Answer, type Question, READY } from './programs/serve.ts';

/** A child process that runs one of `programs/` and answers questions. */
export class Child implements AsyncDisposable {
  /** @param program file name in `programs/` */
  static async start(program: string, args: readonly string[] = []): Promise<Child> {
    const child = new Child(await spawnNode(new URL(`./programs/${program}`, import.meta.url), args));
    await child.#process.nextMessage<Answer>(({ id }) => id === READY, { timeoutMs: 60_000 });
    return child;
  }

  readonly #process: NodeProcess;
  #questions = 0;

  private constructor(process: NodeProcess) {
    this.#process = process;
  }

  async call<T>(method: string, argument: unknown = null): Promise<T> {
    this.#questions += 1;
    const question: Question = { id: this.#questions, method, argument };
    this.#process.send(question);
    const { answer, error } = await this.#process.nextMessage<Answer>(({ id }) => id === question.id, {
      timeoutMs: 120_000,
    });
    if (error !== undefined) throw new Error(`${error}\n--- in a child process that wrote:\n${this.#process.output}`);
    return answer as T;
  }

  /** SIGKILL: as a crash. */
  async crash(): Promise<void> {
    await this.#process.kill('SIGKILL');
  }

  /** Waits for the end of a program that is expected to end by itself, and tells what it wrote. */
  async ended(): Promise<{ readonly code: number | null; readonly output: string }> {
    const { code } = await this.#process.exited;
    return { code, output: this.#process.output };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.send({ id: -1, method: 'exit', argument: null });
    await this.#process.exited;
  }
}
