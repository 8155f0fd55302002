"""Beyond a sponsor's limit the issuer bears the bonus: what sponsors have taken on, held, and a lot's own part of it.

Revision ID: 0036
Revises: 0035
"""

from alembic import op

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None

# Of the terms that say so, and of no others: the row is locked by each batch that sells under them. Of a lot that the
# release before sells it says nothing, as of every lot that is sponsored by its terms.
HELD = """
CREATE TABLE sponsored_held (
    terms_id integer PRIMARY KEY,
    taken_on_minor bigint NOT NULL CHECK (taken_on_minor >= 0)
);
GRANT SELECT ON sponsored_held TO coalition_app, coalition_settlement, coalition_auditor;
GRANT INSERT, UPDATE ON sponsored_held TO coalition_app;
"""
LOTS = "ALTER TABLE lots ADD COLUMN sponsored bigint"


def upgrade() -> None:
    """Lay a table, and a column that no row of needs a value in."""
    for statements in (HELD, LOTS):
        op.execute(statements)


def downgrade() -> None:
    """A release without them would let sponsors bear more than they agreed to."""
    raise RuntimeError("revision 0036 cannot be undone; drop the database instead")
