"""The index over the journal's legs is kept up by whoever reads the journal's end.

Revision ID: 0037
Revises: 0036
"""

from alembic import op

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None

# A BRIN index knows nothing of pages that were filled since it was last summarised, so every reader of the newest legs
# reads all of those; autosummarize waits for an autovacuum worker, a minute or more. Only full ranges (16 pages, 0001)
# are summarised: a summary that exists is written again by every insert below it. `whole` looks everywhere, once after
# a copy or a restore. Whoever vacuums keeps the lock: then the next call does it.
RANGES = """
CREATE FUNCTION summarise_transfers(whole boolean) RETURNS integer LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET lock_timeout = '10ms' AS $$
DECLARE
    pages CONSTANT bigint := 16;
    part record;
    span bigint;
    done integer := 0;
BEGIN
    FOR part IN
        SELECT i.indexrelid::regclass AS index, i.indrelid::regclass AS heap FROM pg_inherits
        JOIN pg_index i ON i.indexrelid = inhrelid
        WHERE inhparent = 'public.transfers_entry'::regclass AND pg_relation_size(i.indrelid) > 0 ORDER BY 1
    LOOP
        IF whole THEN
            done := done + brin_summarize_new_values(part.index);
        END IF;
        span := pg_relation_size(part.heap) / current_setting('block_size')::bigint / pages - 1;
        WHILE span >= 0 AND brin_summarize_range(part.index, span * pages) > 0 LOOP
            done := done + 1;
            span := span - 1;
        END LOOP;
    END LOOP;
    RETURN done;
EXCEPTION WHEN lock_not_available THEN
    RETURN done;
END $$;
REVOKE ALL ON FUNCTION summarise_transfers(boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION summarise_transfers(boolean) TO coalition_app, coalition_settlement;
"""
# A vacuum of what was inserted is due when a fifth of a partition is new, and holds that lock as long as it takes.
# Every million rows it takes seconds. New partitions get the same (storage/partitions.py).
VACUUMS = """
DO $$
DECLARE
    part regclass;
BEGIN
    FOR part IN
        SELECT inhrelid::regclass FROM pg_inherits
        WHERE inhparent IN ('entries'::regclass, 'transfers'::regclass, 'allocations'::regclass)
    LOOP
        EXECUTE format('ALTER TABLE %s SET (autovacuum_vacuum_insert_scale_factor = 0, '
                       'autovacuum_vacuum_insert_threshold = 1000000)', part);
    END LOOP;
END $$;
"""


def upgrade() -> None:
    """One function, and how often the journal's partitions are vacuumed."""
    op.execute(RANGES)
    op.execute(VACUUMS)


def downgrade() -> None:
    """Followers of this release call it."""
    raise RuntimeError("revision 0037 cannot be undone; drop the database instead")
