import { SessionStoreError } from '../errors.ts';
import { COLUMNS, FIELD_NAMES } from './columns.ts';
import { EXTEND, INSTALL, type TableNames, triggerName } from './names.ts';
import { Parameters, type Row, type Statement } from './statement.ts';
import { missingColumn, missingUniqueKey } from './to-store-error.ts';

const REQUIRED_COLUMNS = [
  ...['id', 'session_id', 'user_id', 'created_at', 'updated_at', 'expires_at', 'active'],
  ...FIELD_NAMES.map((field) => COLUMNS[field].name),
  ...['version', 'pending_since', 'lock_token', 'lock_until', 'rekeyed_at'],
];

/** How the client sees rows: all of them, or those of `mcp.user_id`. */
export type RowSecurity = 'off' | 'tenant' | 'admin';

/**
 * Looks at the catalogues alone, which every role may read: one statement, and it changes nothing. The privilege on
 * the schema is asked first, because names in a schema that may not be used cannot be resolved.
 */
export function schemaStatement(names: TableNames): Statement {
  const p = new Parameters();
  const table = `(select oid from t)`;
  const key = (columns: string): string => `exists (
    select from pg_catalog.pg_index i where i.indrelid = ${table} and i.indisunique and i.indisvalid and i.indpred is null
    and (select string_agg(a.attname::text, ',' order by a.attname) from pg_catalog.pg_attribute a
      where a.attrelid = i.indrelid and a.attnum = any (i.indkey)) = '${columns}')::text`;
  const open = `(
    select string_agg(y.polname::text, ', ' order by y.polname) from pg_catalog.pg_policy y
    where y.polrelid = ${table} and y.polpermissive and y.polcmd in ('*', 'r')
    and exists (select from unnest(y.polroles) as r (oid) where case when r.oid = 0 then true else pg_has_role(r.oid, 'member') end)
    and coalesce(pg_get_expr(y.polqual, y.polrelid), '') not like '%mcp.user_id%')`;
  const text = `
with t as (
  select c.oid from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where n.nspname = ${p.text(names.schema)} and c.relname = ${p.text(names.table)} and c.relkind in ('r', 'p')
)
select ${table}::text as oid,
  (select n.nspname::text from pg_catalog.pg_namespace n where n.nspname = ${p.text(names.schema)}
    and not has_schema_privilege(n.oid, 'usage')) as closed,
  (select string_agg(w.name, ',' order by w.place)
    from unnest(string_to_array(${p.text(REQUIRED_COLUMNS.join(','))}, ',')) with ordinality as w (name, place)
    where not exists (select from pg_catalog.pg_attribute a
      where a.attrelid = ${table} and a.attname = w.name and a.attnum > 0 and not a.attisdropped)) as missing,
  (select string_agg(v.verb, ',' order by v.place)
    from unnest(array['select', 'insert', 'update', 'delete']) with ordinality as v (verb, place)
    where not has_table_privilege(${table}, v.verb)) as denied,
  (select pg_get_triggerdef(g.oid) from pg_catalog.pg_trigger g
    where g.tgrelid = ${table} and g.tgname = ${p.text(triggerName(names))} and g.tgenabled <> 'D') as trigger,
  ${key('session_id,user_id')} as key, ${key('session_id')} as narrow,
  (select row_security_active(t.oid)::text from t) as secured,
  ${open} as open`;
  return { text, values: p.values };
}

/**
 * What has to be done before the table can be used, or `undefined`.
 *
 * @param security left out by those who look after the table and read no rows
 */
export function schemaProblem(row: Row, names: TableNames, security?: RowSecurity): SessionStoreError | undefined {
  const problem = tableProblem(row, names) ?? (security && securityProblem(row, names, security));
  return problem === undefined ? undefined : new SessionStoreError(...problem);
}

type Problem = readonly [code: SessionStoreError['code'], message: string];

function tableProblem(
  { oid, closed, missing, denied, trigger, key, narrow }: Row,
  names: TableNames,
): Problem | undefined {
  if (isText(closed)) return ['schema', `The database role may not use the schema of ${names.shown}`];
  if (!isText(oid)) return ['schema', `Table ${names.shown} not found: run migration ${INSTALL}`];
  if (isText(missing)) return missingColumn(names, missing.split(',')[0] ?? missing);
  if (key !== 'true' || narrow === 'true') return missingUniqueKey(names);
  if (!isText(trigger) || !SKIPS_LOCKS.every((column) => trigger.toLowerCase().includes(column))) {
    return ['schema', `Trigger ${triggerName(names)} is outdated: run migration ${EXTEND} again`];
  }
  if (isText(denied)) return ['schema', `The database role may not ${denied.split(',')[0]} ${names.shown}`];
  return undefined;
}

/** In the condition of migration 2's trigger. The one of migration 1 has none. */
const SKIPS_LOCKS = ['lock_token', 'lock_until', 'rekeyed_at'];

/**
 * Row-level security that does not bind lets every user see all others; one that binds a client which names no user
 * hides all rows from it, and every session would seem to be missing. Policies of other forms are the operator's.
 */
function securityProblem({ secured, open }: Row, names: TableNames, security: RowSecurity): Problem | undefined {
  const isBound = secured === 'true';
  const seesMore = isText(open);
  if (security === 'tenant' && !isBound) {
    return [
      'config',
      `rls: 'tenant' has no effect on ${names.shown} for this database role: enable and force row-level security, and ` +
        'use a role created by SQL without BYPASSRLS',
    ];
  }
  if (security === 'tenant' && seesMore) {
    return ['config', `rls: 'tenant' has no effect on ${names.shown}: another policy lets this role read all rows`];
  }
  if (security === 'admin' && isBound && !seesMore) {
    return ['config', `The admin client sees no rows of ${names.shown}: give its role a policy USING (true)`];
  }
  if (security === 'off' && isBound && !seesMore) {
    return [
      'config',
      `Row-level security hides all rows of ${names.shown} from this database role: set rls: 'tenant', or give the role ` +
        'a policy USING (true)',
    ];
  }
  return undefined;
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}
