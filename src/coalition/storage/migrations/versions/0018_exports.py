"""Exports: all members, sealed to a recipient outside, once two people have agreed on whose key that is.

Revision ID: 0018
"""

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

# A row is approved once. The recipient's key is a public one.
EXPORTS = """
CREATE TABLE exports (
    export_id uuid PRIMARY KEY,
    field_groups text[] NOT NULL CHECK (cardinality(field_groups) > 0),
    purpose text NOT NULL,
    recipient_key bytea NOT NULL CHECK (octet_length(recipient_key) = 32),
    requester text NOT NULL,
    create_time timestamptz NOT NULL,
    approver text,
    approve_time timestamptz,
    CHECK ((approver IS NULL) = (approve_time IS NULL)),
    CHECK (split_part(approver, '/', 2) <> split_part(requester, '/', 2))
);
GRANT SELECT ON exports TO coalition_app, coalition_settlement, coalition_auditor;
GRANT INSERT ON exports TO coalition_app;
GRANT UPDATE (approver, approve_time) ON exports TO coalition_app;
"""


def upgrade() -> None:
    """Lay one table."""
    op.execute(EXPORTS)


def downgrade() -> None:
    """Who let members' data leave is evidence: a release without it cannot keep it."""
    raise RuntimeError("revision 0018 cannot be undone; drop the database instead")
