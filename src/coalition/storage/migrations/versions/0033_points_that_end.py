"""Points that end: a last day of what was earned, what of it is still there, and what a spend took of it.

Revision ID: 0033
Revises: 0032
"""

from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None

# Constant defaults rewrite no row; what was earned before has no last day. Not validated: that is true of every row.
# `is_open` flips only when nothing is left or something comes back, so that an index on it seldom costs an update.
MOVES = """
ALTER TABLE points_moves ADD COLUMN wallet_id bigint;
ALTER TABLE points_moves ADD COLUMN last_day date;
ALTER TABLE points_moves ADD COLUMN used bigint NOT NULL DEFAULT 0;
ALTER TABLE points_moves ADD COLUMN ended bigint NOT NULL DEFAULT 0;
ALTER TABLE points_moves ADD COLUMN is_open boolean NOT NULL DEFAULT false;
ALTER TABLE points_moves ADD CONSTRAINT points_moves_parts
    CHECK (used >= 0 AND ended >= 0 AND given_back + used + ended <= points) NOT VALID;
GRANT UPDATE (used, ended, is_open) ON points_moves TO coalition_app;
"""

# Hot rows like those: lane first, no foreign keys; written only where points with a last day are spent.
DRAWS = """
CREATE TABLE points_draws (
    lane smallint NOT NULL,
    entry_id bigint NOT NULL,
    place smallint NOT NULL,
    of_entry_id bigint NOT NULL,
    points bigint NOT NULL CHECK (points > 0),
    returned bigint NOT NULL DEFAULT 0 CHECK (returned BETWEEN 0 AND points),
    PRIMARY KEY (lane, entry_id, place)
) WITH (fillfactor = 90);
GRANT SELECT ON points_draws TO coalition_app, coalition_settlement;
GRANT INSERT ON points_draws TO coalition_app;
GRANT UPDATE (returned) ON points_draws TO coalition_app;
"""

# For a batch that spends, and for the job that ends them. Built while the tills sell.
OF_WALLETS = """
CREATE INDEX CONCURRENTLY IF NOT EXISTS points_moves_open ON points_moves (lane, wallet_id) WHERE is_open;
"""
BY_DAY = """
CREATE INDEX CONCURRENTLY IF NOT EXISTS points_moves_ending ON points_moves (last_day, entry_id) WHERE is_open;
"""


def upgrade() -> None:
    """Widen one table and lay another; the previous release neither reads nor writes what is new."""
    op.execute(MOVES)
    op.execute(DRAWS)
    with op.get_context().autocommit_block():
        op.execute(OF_WALLETS)
        op.execute(BY_DAY)


def downgrade() -> None:
    """A release without them would let members spend points that have ended."""
    raise RuntimeError("revision 0033 cannot be undone; drop the database instead")
