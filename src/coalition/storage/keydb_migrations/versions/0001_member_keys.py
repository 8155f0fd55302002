"""Member keys, wrapped: one row a member, deleted to erase it.

Revision ID: 0001
"""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

MEMBER_KEYS = """
CREATE TABLE member_keys (
    member_id uuid PRIMARY KEY,
    dek_id uuid NOT NULL,
    kek_version integer NOT NULL CHECK (kek_version > 0),
    wrapped bytea NOT NULL,
    check_value bytea NOT NULL CHECK (octet_length(check_value) = 16),
    create_time timestamptz NOT NULL
);
"""

# No UPDATE: a key is written once. Rewrapping under a new key-encryption key is the owner's job. The server reads the
# schema's version before it starts.
GRANTS = """
GRANT USAGE ON SCHEMA public TO coalition_app;
GRANT SELECT, INSERT, DELETE ON member_keys TO coalition_app;
GRANT SELECT ON alembic_version TO coalition_app;
"""


def upgrade() -> None:
    """Lay the table and let the server's role add, read and delete its rows."""
    op.execute(MEMBER_KEYS)
    op.execute(
        "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'coalition_app') "
        "THEN CREATE ROLE coalition_app LOGIN; END IF; END $$"
    )
    op.execute(GRANTS)


def downgrade() -> None:
    """The first revision has nothing before it: drop the database instead."""
    raise RuntimeError("revision 0001 cannot be undone; drop the database instead")
