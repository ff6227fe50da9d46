/** Optional: PostgreSQL removes expired sessions by itself. */
export const cronSql: string = `-- Optional: removes expired sessions with pg_cron, in place of cleanupExpired() in the application. It may be run again.
-- On Neon set cron.database_name on the endpoint first (API call and restart); jobs run only while the compute is awake.

CREATE EXTENSION IF NOT EXISTS pg_cron;

SELECT cron.schedule('mcp-cleanup-transient-sessions', '*/5 * * * *', $$DELETE FROM public.mcp_sessions WHERE active IS NOT TRUE AND expires_at < now()$$);
SELECT cron.schedule('mcp-cleanup-dormant-sessions', '0 0 * * *', $$DELETE FROM public.mcp_sessions WHERE active IS TRUE AND updated_at < now() - interval '30 days'$$);
`;
