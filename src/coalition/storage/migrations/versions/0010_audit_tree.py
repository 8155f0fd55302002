"""The audit tree: tiles, the checkpoints signed over them, the cosignatures of witnesses.

Revision ID: 0010
"""

from alembic import op

revision = "0010"
down_revision = "0007"
branch_labels = None
depends_on = None

# Tiles are a fold of the journal and may be made again; a full one never changes. Hashes do not compress, so PostgreSQL
# need not try. first_entry_id says which entry the first leaf of a tile of level 0 is: that is how an entry finds its
# place in the tree. Checkpoints and cosignatures cannot be made again: nobody of the house may change or delete them.
AUDIT_TREE = """
CREATE TABLE audit_tiles (
    level smallint NOT NULL CHECK (level BETWEEN 0 AND 7),
    number bigint NOT NULL CHECK (number >= 0),
    hashes bytea NOT NULL CHECK (octet_length(hashes) BETWEEN 32 AND 8192 AND octet_length(hashes) % 32 = 0),
    first_entry_id bigint,
    PRIMARY KEY (level, number),
    CHECK ((level = 0) = (first_entry_id IS NOT NULL))
);
ALTER TABLE audit_tiles ALTER COLUMN hashes SET STORAGE EXTERNAL;
CREATE INDEX audit_tiles_entry ON audit_tiles (first_entry_id) WHERE level = 0;
CREATE TABLE checkpoints (
    size bigint PRIMARY KEY CHECK (size > 0),
    number bigint NOT NULL,
    root bytea NOT NULL CHECK (octet_length(root) = 32),
    note text NOT NULL,
    time timestamptz NOT NULL
);
CREATE TABLE cosignatures (
    size bigint NOT NULL REFERENCES checkpoints,
    witness text NOT NULL,
    line text NOT NULL,
    time timestamptz NOT NULL,
    PRIMARY KEY (size, witness)
);
GRANT SELECT ON audit_tiles, checkpoints, cosignatures TO coalition_app, coalition_settlement, coalition_auditor;
GRANT INSERT, UPDATE, DELETE ON audit_tiles TO coalition_app;
GRANT INSERT ON checkpoints, cosignatures TO coalition_app;
"""


def upgrade() -> None:
    """Make the three tables."""
    op.execute(AUDIT_TREE)


def downgrade() -> None:
    """Checkpoints cannot be made again: what was signed would be forgotten."""
    raise RuntimeError("revision 0010 cannot be undone; drop the database instead")
