import { runInDurableObject } from 'cloudflare:test';

/** Rows that an object reads while something is run in it. */
export async function rowsRead(
  stub: DurableObjectStub,
  run: (object: DurableObject, state: DurableObjectState) => unknown,
): Promise<number> {
  return runInDurableObject(stub, async (object, state) => {
    const prototype = Object.getPrototypeOf(state.storage.sql) as SqlStorage;
    const { exec } = prototype;
    const cursors: { readonly rowsRead: number }[] = [];
    prototype.exec = function (this: SqlStorage, ...args: Parameters<typeof exec>) {
      const cursor = exec.apply(this, args);
      cursors.push(cursor);
      return cursor;
    } as typeof exec;
    try {
      await run(object as DurableObject, state);
      // They are known when a cursor has been read to its end.
      return cursors.reduce((sum, cursor) => sum + cursor.rowsRead, 0);
    } finally {
      prototype.exec = exec;
    }
  });
}
