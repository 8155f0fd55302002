"""Everyday cases and bad days: bonuses that expire.

Revision ID: 0022
"""

from alembic import op

revision = "0022"
down_revision = "0015"
branch_labels = None
depends_on = None

# For the job that takes expired bonuses. None of the columns changes but is_open, which flips when a lot empties or
# reopens: updates of lots stay HOT. Built while the tills sell.
BONUSES = """
CREATE INDEX CONCURRENTLY IF NOT EXISTS lots_bonus ON lots (bonus_expiry, lot_id)
    WHERE is_open AND bonus_expiry IS NOT NULL;
"""


def upgrade() -> None:
    """Lay one index; nothing that exists is changed."""
    with op.get_context().autocommit_block():
        op.execute(BONUSES)


def downgrade() -> None:
    """Correcting entries of this release would stay without what explains them."""
    raise RuntimeError("revision 0022 cannot be undone; drop the database instead")
