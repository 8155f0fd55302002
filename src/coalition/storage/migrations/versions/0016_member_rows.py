"""Members' records and indexes without foreign keys, like all tables that are written by the hundred.

Revision ID: 0016
"""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

# Three of the five rows of a member who moves in were looked up in `members`, whose row was written a moment before:
# a fifth of an import. Tests see that no record is without its member (tests/membership/test_intake.py).
FREE = """
-- squawk-ignore ban-drop-constraint
ALTER TABLE member_records DROP CONSTRAINT member_records_member_id_fkey;
-- squawk-ignore ban-drop-constraint
ALTER TABLE member_indexes DROP CONSTRAINT member_indexes_member_id_fkey;
"""


def upgrade() -> None:
    """Drop two constraints: an instant each, if nothing holds the tables."""
    op.execute(FREE)


def downgrade() -> None:
    """The release before works without them, too."""
