"""Members: which acts are about whom, disclosures of two people, erasures and whether they are finished.

Revision ID: 0015
"""

from alembic import op

revision = "0015"
down_revision = "0010"
branch_labels = None
depends_on = None

# `member_acts` leads from a member to the acts about it, so that a member's access report does not read the journal;
# request ids of version 7 lie in order of time. Only ever added to. A row of `disclosures` is approved once. A row of
# `erasures` is written with the act and finished when the member's key and sealed records are gone.
MEMBERS = """
CREATE TABLE member_acts (
    member_id uuid NOT NULL,
    request_id uuid NOT NULL,
    participant_id integer NOT NULL,
    PRIMARY KEY (member_id, request_id, participant_id)
);
CREATE TABLE disclosures (
    disclosure_id uuid PRIMARY KEY,
    member_ids uuid[] NOT NULL CHECK (cardinality(member_ids) BETWEEN 1 AND 20),
    field_groups text[] NOT NULL CHECK (cardinality(field_groups) > 0),
    purpose text NOT NULL,
    requester text NOT NULL,
    create_time timestamptz NOT NULL,
    approver text,
    approve_time timestamptz,
    CHECK ((approver IS NULL) = (approve_time IS NULL)),
    CHECK (split_part(approver, '/', 2) <> split_part(requester, '/', 2))
);
CREATE TABLE erasures (
    member_id uuid PRIMARY KEY,
    erase_time timestamptz NOT NULL,
    is_finished boolean NOT NULL DEFAULT false
);
CREATE INDEX erasures_unfinished ON erasures (member_id) WHERE NOT is_finished;
GRANT SELECT ON member_acts, disclosures, erasures TO coalition_app, coalition_settlement, coalition_auditor;
GRANT INSERT ON member_acts, disclosures, erasures TO coalition_app;
GRANT UPDATE (approver, approve_time) ON disclosures TO coalition_app;
GRANT UPDATE (is_finished) ON erasures TO coalition_app;
GRANT DELETE ON member_records, device_seeds, pins TO coalition_app;
"""

# So that erasing a member, or a new phone, finds its indexes. Built while enrolments go on.
INDEXES_OF_MEMBER = """
CREATE INDEX CONCURRENTLY IF NOT EXISTS member_indexes_member ON member_indexes (member_id);
"""


def upgrade() -> None:
    """Lay the tables and one index; nothing that exists is changed."""
    op.execute(MEMBERS)
    with op.get_context().autocommit_block():
        op.execute(INDEXES_OF_MEMBER)


def downgrade() -> None:
    """Who saw a member's data is evidence: a release without it cannot keep it."""
    raise RuntimeError("revision 0015 cannot be undone; drop the database instead")
