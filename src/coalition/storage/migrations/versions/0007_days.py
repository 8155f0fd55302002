"""Day totals of terminals, the closes of their days, and day limits that were reached.

Revision ID: 0007
"""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

# `day_totals` is a fold of the journal, a few rows a terminal and day; `day_limits_reached` follows from it. A row of
# `day_closes` is written by an act, once: like the journal it is only ever added to.
DAYS = """
CREATE TABLE day_totals (
    terminal_id integer NOT NULL,
    business_date date NOT NULL,
    kind smallint NOT NULL,
    accepted_count bigint NOT NULL,
    accepted_minor bigint NOT NULL,
    declined_count bigint NOT NULL,
    last_entry_id bigint NOT NULL,
    PRIMARY KEY (business_date, terminal_id, kind)
);
CREATE INDEX day_totals_terminal ON day_totals (terminal_id);
CREATE TABLE day_limits_reached (
    business_date date NOT NULL,
    subject smallint NOT NULL,
    subject_id integer NOT NULL,
    flow smallint NOT NULL,
    reached_minor bigint NOT NULL,
    number bigint NOT NULL,
    PRIMARY KEY (business_date, subject, subject_id, flow)
);
CREATE TABLE day_closes (
    terminal_id integer NOT NULL REFERENCES terminals,
    number bigint NOT NULL CHECK (number > 0),
    business_date date NOT NULL,
    close_time timestamptz NOT NULL,
    last_entry_id bigint NOT NULL,
    counted jsonb NOT NULL,
    statement bytea NOT NULL,
    statement_hash bytea NOT NULL CHECK (octet_length(statement_hash) = 32),
    signature bytea NOT NULL,
    certificate bytea NOT NULL,
    difference_count integer NOT NULL CHECK (difference_count >= 0),
    PRIMARY KEY (terminal_id, number)
);
GRANT SELECT ON day_totals, day_limits_reached, day_closes TO coalition_app, coalition_settlement, coalition_auditor;
GRANT INSERT, UPDATE, DELETE ON day_totals, day_limits_reached TO coalition_app;
GRANT INSERT ON day_closes TO coalition_app;
"""


def upgrade() -> None:
    """Lay the tables; nothing that exists is touched. The fold begins at the journal's first number by itself."""
    op.execute(DAYS)


def downgrade() -> None:
    """Closes are evidence that merchants have signed: a release without them cannot keep it."""
    raise RuntimeError("revision 0007 cannot be undone; drop the database instead")
