import { runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';

/**
 * As after a loss of the log: another epoch, nothing of the old one, and no object in memory that would know better.
 * In one step: a message that came in between would be stored by the old object beside the new epoch, and an entry
 * without its log, or the other way round, is a state that no transaction of the object leaves behind.
 */
export async function loseLog(namespace: string): Promise<void> {
  const objects = env.TMCP_DURABLE_OBJECT;
  const stub = objects.get(objects.idFromName(`v2/1/0/${namespace}`));
  await runInDurableObject(stub, (_, state) =>
    state.blockConcurrencyWhile(async () => {
      state.storage.transactionSync(() => {
        state.storage.sql.exec("UPDATE meta SET v = 'restored' WHERE k = 'epoch'");
        for (const table of ['log_to', 'log_part', 'log']) state.storage.sql.exec(`DELETE FROM ${table}`);
      });
      await state.storage.sync();
      state.abort('restored');
    }),
  ).catch(() => undefined);
}
