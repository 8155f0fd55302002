"""Key versions: what the journal was told last of every version of the house's keys.

Revision ID: 0019
"""

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

# A few dozen rows, so that whoever starts does not read the journal to learn what is new. No key: `check_value` is the
# ring's public check of one.
KEY_VERSIONS = """
CREATE TABLE key_versions (
    purpose text NOT NULL,
    version integer NOT NULL CHECK (version > 0),
    state text NOT NULL,
    is_primary boolean NOT NULL,
    check_value bytea NOT NULL,
    PRIMARY KEY (purpose, version)
);
GRANT SELECT ON key_versions TO coalition_app, coalition_settlement, coalition_auditor;
GRANT INSERT, UPDATE ON key_versions TO coalition_app;
"""


def upgrade() -> None:
    """Lay the table; nothing that exists is touched. The next server to start tells the journal what it finds."""
    op.execute(KEY_VERSIONS)


def downgrade() -> None:
    """A release without it would leave the life of keys untold, unseen by auditors."""
    raise RuntimeError("revision 0019 cannot be undone; drop the database instead")
