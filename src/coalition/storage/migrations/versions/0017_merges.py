"""Merged members: where a wallet's value goes on to, what is under way there, and who was merged into whom.

Revision ID: 0017
"""

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

# `merged_into` is set once, with the act, and never changes. A row of `transits` is written by the desk with a
# MERGE_OUT and closed by its MERGE_IN. `member_merges` is who and when; the merged member's data stays as history. The
# new check is not validated: every row that is there has an older state. Indexes are built outside the transaction, so
# what is before them is written to be run again.
MERGES = """
ALTER TABLE wallets ADD COLUMN IF NOT EXISTS merged_into bigint;
CREATE TABLE IF NOT EXISTS transits (
    lane smallint NOT NULL,
    entry_id bigint NOT NULL,
    to_wallet_id bigint NOT NULL,
    is_open boolean NOT NULL,
    PRIMARY KEY (lane, entry_id)
);
CREATE INDEX IF NOT EXISTS transits_open ON transits (entry_id) WHERE is_open;
CREATE TABLE IF NOT EXISTS member_merges (
    member_id uuid PRIMARY KEY,
    into_member_id uuid NOT NULL,
    merge_time timestamptz NOT NULL,
    CHECK (member_id <> into_member_id)
);
-- squawk-ignore ban-drop-constraint
ALTER TABLE members DROP CONSTRAINT IF EXISTS members_state_check;
-- squawk-ignore ban-drop-constraint
ALTER TABLE members DROP CONSTRAINT IF EXISTS members_state_known;
ALTER TABLE members ADD CONSTRAINT members_state_known
    CHECK (state IN ('ACTIVE', 'LOCKED', 'ERASED', 'MERGED')) NOT VALID;
GRANT SELECT ON transits, member_merges TO coalition_app, coalition_settlement, coalition_auditor;
GRANT INSERT, UPDATE ON transits TO coalition_app;
GRANT INSERT ON member_merges TO coalition_app;
"""

# So that the job that empties merged wallets finds them, and a merge the credentials that lead to a wallet. Built while
# tills go on; the predicate never changes for a row, so updates stay in place.
WALLETS_MERGED = """
CREATE INDEX CONCURRENTLY IF NOT EXISTS wallets_merged ON wallets (wallet_id) WHERE merged_into IS NOT NULL;
"""
CREDENTIALS_OF_WALLET = """
CREATE INDEX CONCURRENTLY IF NOT EXISTS credentials_wallet ON credentials (wallet_id);
"""


def upgrade() -> None:
    """Add a column, two tables and two indexes; nothing that exists changes."""
    op.execute(MERGES)
    with op.get_context().autocommit_block():
        op.execute(WALLETS_MERGED)
    with op.get_context().autocommit_block():
        op.execute(CREDENTIALS_OF_WALLET)


def downgrade() -> None:
    """A release before would leave value under way where it is."""
    raise RuntimeError("revision 0017 cannot be undone; drop the database instead")
