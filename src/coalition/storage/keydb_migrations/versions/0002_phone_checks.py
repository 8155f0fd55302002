"""What tells the members of one blind index apart without opening their records, beside each member's key.

Revision ID: 0002
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# Wrapped by the key-encryption key of the row's kek_version (KeyRing.index_checks). NULL where it is not known: keys of
# the release before, and members whose phone was changed since; then the record is opened and compared.
PHONE_CHECKS = """
-- squawk-ignore-file prefer-robust-stmts
ALTER TABLE member_keys ADD COLUMN IF NOT EXISTS phone_check bytea CHECK (octet_length(phone_check) = 40);
GRANT UPDATE (phone_check) ON member_keys TO coalition_app;
"""

# By check, when members move in by the hundred; those whose check is not known or cannot be told, which are few. A hash
# index keeps four bytes of a check where a tree keeps forty.
INDEXES = (
    "CREATE INDEX CONCURRENTLY IF NOT EXISTS member_keys_check ON member_keys USING hash (phone_check);",
    """
    CREATE INDEX CONCURRENTLY IF NOT EXISTS member_keys_unchecked ON member_keys (member_id) WHERE phone_check IS NULL;
    """,
    "CREATE INDEX CONCURRENTLY IF NOT EXISTS member_keys_version ON member_keys (kek_version);",
)


def upgrade() -> None:
    """Add the column, empty, and let the server's role empty it again."""
    op.execute(PHONE_CHECKS)
    for index in INDEXES:
        with op.get_context().autocommit_block():
            op.execute(index)


def downgrade() -> None:
    """Checks are made with the members only: a release without them cannot keep them."""
    raise RuntimeError("revision 0002 cannot be undone; drop the database instead")
