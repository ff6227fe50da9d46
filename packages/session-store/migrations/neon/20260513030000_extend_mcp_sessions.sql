-- What @tmcp/session-store needs on top of the installed table. Run with an owner or admin role; it may be run again,
-- and has to be when the first migration was run again after it.

BEGIN;

ALTER TABLE public.mcp_sessions
    ADD COLUMN IF NOT EXISTS version BIGINT NOT NULL DEFAULT 1,
    ADD COLUMN IF NOT EXISTS pending_since TIMESTAMPTZ,
    ADD COLUMN IF NOT EXISTS auth_url TEXT,
    ADD COLUMN IF NOT EXISTS oauth_state JSONB,
    ADD COLUMN IF NOT EXISTS metadata JSONB,
    ADD COLUMN IF NOT EXISTS lock_token TEXT,
    ADD COLUMN IF NOT EXISTS lock_until TIMESTAMPTZ,
    ADD COLUMN IF NOT EXISTS rekeyed_at TIMESTAMPTZ;

CREATE UNIQUE INDEX IF NOT EXISTS uq_mcp_sessions_user_session ON public.mcp_sessions (user_id, session_id);
-- The only thing loosened: two users may hold the same session id.
ALTER TABLE public.mcp_sessions DROP CONSTRAINT IF EXISTS mcp_sessions_session_id_key;
CREATE INDEX IF NOT EXISTS idx_mcp_sessions_user_created ON public.mcp_sessions (user_id, created_at, session_id COLLATE "C");

CREATE OR REPLACE FUNCTION public.mcp_sessions_set_updated_at() RETURNS TRIGGER
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    NEW.updated_at := now();
    RETURN NEW;
END;
$$;

-- Locks and re-encryption are no use of a session.
DROP TRIGGER IF EXISTS trg_mcp_sessions_updated_at ON public.mcp_sessions;
CREATE TRIGGER trg_mcp_sessions_updated_at BEFORE UPDATE ON public.mcp_sessions
FOR EACH ROW WHEN ((OLD.lock_token, OLD.lock_until, OLD.rekeyed_at) IS NOT DISTINCT FROM (NEW.lock_token, NEW.lock_until, NEW.rekeyed_at))
EXECUTE FUNCTION public.mcp_sessions_set_updated_at();

COMMIT;

-- Optional: row-level security that separates users (option rls: 'tenant').
--
-- ALTER TABLE public.mcp_sessions ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
-- DROP POLICY IF EXISTS mcp_sessions_service ON public.mcp_sessions;
-- DROP POLICY IF EXISTS mcp_sessions_tenant ON public.mcp_sessions;
-- CREATE POLICY mcp_sessions_tenant ON public.mcp_sessions FOR ALL TO mcp_service_role
--     USING (user_id = current_setting('mcp.user_id', true)) WITH CHECK (user_id = current_setting('mcp.user_id', true));
--
-- The role of the option "admin", and every role that cron jobs run as, needs a policy of its own:
--
-- CREATE POLICY mcp_sessions_admin ON public.mcp_sessions FOR ALL TO mcp_admin_role USING (true) WITH CHECK (true);
