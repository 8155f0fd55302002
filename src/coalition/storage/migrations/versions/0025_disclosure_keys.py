"""Disclosures are sealed to a key of who asked, and not approved by who asked in another role.

Revision ID: 0025
"""

from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

# The default is of the release before, which seals nothing: what it asks for is not shown by this one.
DISCLOSURE_KEYS = """
ALTER TABLE disclosures ADD COLUMN recipient_key bytea NOT NULL DEFAULT '';
ALTER TABLE disclosures ADD CONSTRAINT disclosures_recipient_key_check
    CHECK (octet_length(recipient_key) IN (0, 32)) NOT VALID;
ALTER TABLE disclosures ADD CONSTRAINT disclosures_two_people_check
    CHECK (split_part(approver, '/', 3) <> split_part(requester, '/', 3)) NOT VALID;
"""


def upgrade() -> None:
    """Add a column with a constant default, which rewrites no row, and two constraints that hold what comes."""
    op.execute(DISCLOSURE_KEYS)


def downgrade() -> None:
    """A release without it would show in clear what was asked for sealed."""
    raise RuntimeError("revision 0025 cannot be undone; drop the database instead")
