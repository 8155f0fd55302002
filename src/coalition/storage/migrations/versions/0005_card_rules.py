"""Card rules: agreements of the whole scheme, wallets that are named, cards with limits of their own.

Revision ID: 0005
"""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# Not validated: what is there satisfied a narrower one.
KINDS = """
-- squawk-ignore ban-drop-constraint
ALTER TABLE agreements DROP CONSTRAINT agreements_kind_check;
ALTER TABLE agreements ADD CONSTRAINT agreements_kind_check
    CHECK (kind IN ('TERMS', 'ACCEPTANCE', 'ACQUIRING', 'CARD_RULES', 'LIMITS')) NOT VALID;
"""
# Named once the member's real name was verified. A constant default and NULLs rewrite no row.
NAMED = "ALTER TABLE wallets ADD COLUMN is_named boolean NOT NULL DEFAULT false"
# What one card may spend, minor units; NULL is no limit.
LIMITS = """
ALTER TABLE cards
    ADD COLUMN operation_limit_minor bigint,
    ADD COLUMN day_limit_minor bigint,
    ADD COLUMN month_limit_minor bigint;
"""


def upgrade() -> None:
    """Widen one constraint and add columns; the previous release neither reads nor writes them."""
    for statements in (KINDS, NAMED, LIMITS):
        op.execute(statements)


def downgrade() -> None:
    """Limits that members were promised would be forgotten: a release without them cannot serve these books."""
    raise RuntimeError("revision 0005 cannot be undone; drop the database instead")
