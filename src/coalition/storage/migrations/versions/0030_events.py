"""What participants are told: settlement's events, a fold of the journal, and the notices of caps beside them.

Revision ID: 0030
Revises: 0025
"""

from alembic import op

revision = "0030"
down_revision = "0027"
branch_labels = None
depends_on = None

# participant_id 0: told to everybody. `cap_notices` is written where a cap is minded and lies in the same order: an
# entry_id of its is the end of the journal number after which it was seen.
EVENTS = """
CREATE TABLE settlement_events (
    entry_id bigint NOT NULL,
    place integer NOT NULL CHECK (place >= 0),
    kind smallint NOT NULL,
    participant_id integer NOT NULL,
    amount_minor bigint NOT NULL,
    run_id integer NOT NULL,
    window_name text NOT NULL,
    subject text NOT NULL,
    PRIMARY KEY (entry_id, place)
);
CREATE INDEX settlement_events_told ON settlement_events (participant_id, entry_id, place);
CREATE TABLE cap_notices (
    entry_id bigint NOT NULL,
    participant_id integer NOT NULL,
    kind smallint NOT NULL,
    owed_minor bigint NOT NULL,
    PRIMARY KEY (participant_id, entry_id)
);
GRANT SELECT ON settlement_events, cap_notices TO coalition_app, coalition_settlement, coalition_auditor;
GRANT INSERT, DELETE ON settlement_events TO coalition_app, coalition_settlement;
GRANT INSERT ON cap_notices TO coalition_app, coalition_settlement;
"""


def upgrade() -> None:
    """Lay two tables; the fold begins at the journal's first number."""
    op.execute(EVENTS)


def downgrade() -> None:
    """Whoever listens would miss what it was not told yet."""
    raise RuntimeError("revision 0030 cannot be undone; drop the database instead")
