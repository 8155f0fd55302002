"""Approvals: what was asked to be approved, who said what, who holds which office, how many must agree.

Revision ID: 0020
"""

from alembic import op

revision = "0020"
down_revision = "0015"
branch_labels = None
depends_on = None

# `approvals` is one table for every kind of thing that several people must agree to. A step carries its maker, held to
# be the approval's own by the foreign key, so that a CHECK can compare it with the checker: /op/wang and /ap/wang are
# one person. No role of a process may change the bands: who takes over a server must not approve by making them empty.
APPROVALS = """
CREATE TABLE approval_bands (
    from_minor bigint PRIMARY KEY CHECK (from_minor >= 0),
    offices text[] NOT NULL CHECK (cardinality(offices) > 0 AND offices <@ ARRAY['FINANCE', 'RATIFIER', 'CHAIRMAN'])
);
INSERT INTO approval_bands (from_minor, offices) VALUES
    (0, '{FINANCE}'), (5000000, '{FINANCE,RATIFIER}'), (50000000, '{FINANCE,RATIFIER,CHAIRMAN}');
CREATE TABLE approval_offices (
    approver text NOT NULL CHECK (approver ~ '^/ap/[a-z0-9][a-z0-9-]{0,62}$'),
    office text NOT NULL CHECK (office IN ('FINANCE', 'RATIFIER', 'CHAIRMAN')),
    PRIMARY KEY (approver, office)
);
CREATE TABLE approvals (
    approval_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subject text NOT NULL CHECK (subject IN ('RUN', 'ADJUSTMENT', 'WRITE_OFF', 'CAP', 'AGREEMENT')),
    name text NOT NULL,
    content_hash bytea NOT NULL CHECK (octet_length(content_hash) = 32),
    amount_minor bigint NOT NULL,
    offices text[] NOT NULL CHECK (cardinality(offices) > 0),
    maker text NOT NULL,
    ask_time timestamptz NOT NULL,
    state text NOT NULL DEFAULT 'PENDING' CHECK (state IN ('PENDING', 'APPROVED', 'REFUSED', 'LAPSED')),
    UNIQUE (approval_id, maker)
);
CREATE UNIQUE INDEX approvals_one_pending ON approvals (subject, name) WHERE state = 'PENDING';
CREATE INDEX approvals_subject ON approvals (subject, name, approval_id);
CREATE TABLE approval_steps (
    approval_id bigint NOT NULL,
    place smallint NOT NULL CHECK (place > 0),
    office text NOT NULL CHECK (office IN ('FINANCE', 'RATIFIER', 'CHAIRMAN')),
    maker text NOT NULL,
    checker text NOT NULL CHECK (checker ~ '^/ap/'),
    decision text NOT NULL CHECK (decision IN ('APPROVED', 'REFUSED')),
    decide_time timestamptz NOT NULL,
    PRIMARY KEY (approval_id, place),
    UNIQUE (approval_id, checker),
    FOREIGN KEY (approval_id, maker) REFERENCES approvals (approval_id, maker),
    CHECK (split_part(maker, '/', 3) <> split_part(checker, '/', 3))
);
GRANT SELECT ON approval_bands, approval_offices, approvals, approval_steps
    TO coalition_app, coalition_settlement, coalition_auditor;
GRANT SELECT ON SEQUENCE approvals_approval_id_seq TO coalition_app, coalition_settlement;
GRANT INSERT ON approvals, approval_steps TO coalition_app, coalition_settlement;
GRANT UPDATE (state) ON approvals TO coalition_app, coalition_settlement;
GRANT INSERT, DELETE ON approval_offices TO coalition_settlement;
"""


def upgrade() -> None:
    """Lay the tables and the bands of the source document (S71): from 0, 50,000 and 500,000 yuan."""
    op.execute(APPROVALS)


def downgrade() -> None:
    """Who approved what is evidence: a release without it cannot keep it."""
    raise RuntimeError("revision 0020 cannot be undone; drop the database instead")
