import { DurableObject } from 'cloudflare:workers';

/** The notes. Sessions are shared by all Workers; data has to be as well, and variables of a Worker are not. */
export class Notebook extends DurableObject {
  constructor(state: DurableObjectState, env: Cloudflare.Env) {
    super(state, env);
    state.storage.sql.exec('CREATE TABLE IF NOT EXISTS note (number INTEGER PRIMARY KEY, text TEXT NOT NULL)');
  }

  /** @returns the number of the note */
  add(text: string): number {
    return this.ctx.storage.sql
      .exec<{ number: number }>('INSERT INTO note (text) VALUES (?) RETURNING number', text)
      .one().number;
  }

  all(): string[] {
    return this.ctx.storage.sql
      .exec<{ text: string }>('SELECT text FROM note ORDER BY number')
      .toArray()
      .map(({ text }) => text);
  }
}
