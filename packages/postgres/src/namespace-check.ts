import type { Row } from './driver.ts';
import { leavesConnectionUsable } from './errors.ts';
import type { PoolCalls, Run } from './pool-calls.ts';
import { randomChannel, randomText } from './random.ts';
import { LOSES, type StreamNames } from './schema/names.ts';

export type NamespaceState = {
  readonly channel: string;
  /** Object id of the head table, as the first key of the advisory locks. */
  readonly lockClass: string;
};

/**
 * Makes sure that the log of a namespace exists, and that a crash of the server or a fail-over since the last look
 * cannot have taken its end away unnoticed. Where it can have, the log gets a new epoch and the claims are released as lost.
 */
export async function checkNamespace(calls: PoolCalls, t: StreamNames, ns: string): Promise<NamespaceState> {
  const server = await serverIdentity(calls);
  const [known] = await calls.query(
    `select h.channel, h.server, exists (select from ${t.mark} m where m.ns = $1), h.tableoid::int4
     from ${t.head} h where h.ns = $1`,
    [ns],
  );
  const state = isUndisturbed(known, server) ? known : await calls.transaction((run) => recover(run, t, ns, server));
  return { channel: state[0] ?? '', lockClass: state[3] ?? '' };
}

function isUndisturbed(known: Row | undefined, server: string | undefined): known is Row {
  return known !== undefined && known[2] === 't' && (server === undefined || known[1] === server);
}

async function recover(run: Run, t: StreamNames, ns: string, server: string | undefined): Promise<Row> {
  const created = await run(
    `insert into ${t.head} (ns, epoch, pos, bytes, trimmed, channel) values ($1, $2, 0, 0, 0, $3)
     on conflict do nothing returning ns`,
    [ns, randomText(9), randomChannel()],
  );
  const [head] = await run(
    `select h.channel, h.server, h.lossy_on_crash, h.tableoid::int4, h.lossy_on_failover from ${t.head} h
     where h.ns = $1 for update`,
    [ns],
  );
  if (!head) throw new Error('the head of the log was removed while it was being set up');
  const marked = await run(`insert into ${t.mark} (ns) values ($1) on conflict do nothing returning ns`, [ns]);
  const [, knownServer, lossyOnCrash, , lossyOnFailover] = head;
  if (created.length > 0) {
    // What a life of the log left behind whose head was removed would collide with the new positions.
    for (const table of [t.log, t.node, t.producer]) await run(`delete from ${table} where ns = $1`, [ns]);
    await run(`update ${t.claims} set ${LOSES} where ns = $1`, [ns]);
  } else {
    const crashed = marked.length > 0;
    const isSame = server !== undefined && server === knownServer;
    const isOther = server !== undefined && knownServer !== null && !isSame;
    // After a crash a server that is not known to be the same may be another one.
    const lossy = crashed || isOther ? (isSame ? lossyOnCrash : lossyOnFailover) : 'f';
    if (lossy === 't') await renewEpoch(run, t, ns);
  }
  await run(`update ${t.head} set server = coalesce($2, server) where ns = $1`, [ns, server ?? null]);
  return head;
}

/** Inside a transaction that has locked the head, or with the epoch that must still be the current one. */
export async function renewEpoch(run: Run, t: StreamNames, ns: string, epoch?: string): Promise<void> {
  const renewed = await run(
    `update ${t.head} set epoch = $2, lossy_on_crash = false, lossy_on_failover = false
     where ns = $1 and epoch = coalesce($3, epoch) returning ns`,
    [ns, randomText(9), epoch ?? null],
  );
  // A statement of its own: it has to see the claims of appends that the update waited for.
  if (renewed.length > 0) await run(`update ${t.claims} set ${LOSES} where ns = $1`, [ns]);
}

/** Another value after a fail-over or a restore; `undefined` where the role may not know. */
async function serverIdentity(calls: PoolCalls): Promise<string | undefined> {
  try {
    // The name of the write-ahead log begins with the timeline; the control file learns of a new one only later.
    const [row] = await calls.query(
      `select (select system_identifier from pg_control_system()) || '/' || left(pg_walfile_name(pg_current_wal_lsn()), 8)`,
    );
    return row?.[0] ?? undefined;
  } catch (error) {
    // Some services keep these functions to themselves.
    if (leavesConnectionUsable(error)) return undefined;
    throw error;
  }
}
