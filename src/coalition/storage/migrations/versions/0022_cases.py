"""Everyday cases and bad days: bonuses, fees of windows, caps, disputes, successors, calendars, signatures.

Revision ID: 0022
"""

from alembic import op

revision = "0022"
down_revision = "0020"
branch_labels = None
depends_on = None

# Not validated: what is there satisfied a narrower one.
KINDS = """
-- squawk-ignore ban-drop-constraint
ALTER TABLE agreements DROP CONSTRAINT agreements_kind_check;
ALTER TABLE agreements ADD CONSTRAINT agreements_kind_check
    CHECK (kind IN ('TERMS', 'ACCEPTANCE', 'ACQUIRING', 'CARD_RULES', 'LIMITS', 'FEES', 'CAPS')) NOT VALID;
"""

# `window_volumes` is a fold of the journal, two rows a participant and window. A window's fees are one entry.
FEES = """
ALTER TABLE windows ADD COLUMN assess_entry_id bigint;
CREATE TABLE window_volumes (
    window_id integer NOT NULL,
    participant_id integer NOT NULL,
    base text NOT NULL CHECK (base IN ('PURCHASES', 'TOP_UPS')),
    volume_minor bigint NOT NULL,
    entry_count bigint NOT NULL,
    PRIMARY KEY (window_id, participant_id, base)
);
GRANT SELECT ON window_volumes TO coalition_app, coalition_settlement, coalition_auditor;
GRANT INSERT, UPDATE, DELETE ON window_volumes TO coalition_app, coalition_settlement;
"""

# `participant_exposures` is a fold of the journal, a row a participant; `caps_reached` follows from it.
CAPS = """
CREATE TABLE participant_exposures (
    participant_id integer NOT NULL,
    unit smallint NOT NULL,
    owed_minor bigint NOT NULL,
    collateral_minor bigint NOT NULL,
    PRIMARY KEY (participant_id, unit)
);
CREATE TABLE caps_reached (
    participant_id integer PRIMARY KEY,
    is_stopped boolean NOT NULL,
    owed_minor bigint NOT NULL,
    number bigint NOT NULL
);
GRANT SELECT ON participant_exposures, caps_reached TO coalition_app, coalition_settlement, coalition_auditor;
GRANT INSERT, UPDATE, DELETE ON participant_exposures, caps_reached TO coalition_app, coalition_settlement;
"""

# A complaint is decided by others than who made it, and only one about a line waits at a time.
DISPUTES = """
CREATE TABLE disputes (
    dispute_id uuid PRIMARY KEY,
    number bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    entry_id bigint NOT NULL,
    calendar text NOT NULL,
    participant_id integer NOT NULL REFERENCES participants,
    against_id integer NOT NULL REFERENCES participants,
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    evidence text NOT NULL,
    evidence_sha256 bytea NOT NULL CHECK (octet_length(evidence_sha256) IN (0, 32)),
    opener text NOT NULL,
    open_time timestamptz NOT NULL,
    state text NOT NULL DEFAULT 'OPEN'
        CHECK (state IN ('OPEN', 'PROPOSED', 'UPHELD', 'REJECTED', 'WITHDRAWN')),
    awarded_minor bigint CHECK (awarded_minor BETWEEN 0 AND amount_minor),
    note text NOT NULL DEFAULT '',
    proposer text NOT NULL DEFAULT '',
    settle_request_id uuid,
    CHECK (participant_id <> against_id),
    CHECK (proposer <> opener),
    CHECK (state NOT IN ('PROPOSED', 'UPHELD', 'REJECTED') OR (awarded_minor IS NOT NULL AND proposer <> ''))
);
CREATE UNIQUE INDEX disputes_unsettled ON disputes (entry_id, participant_id, against_id)
    WHERE state IN ('OPEN', 'PROPOSED');
GRANT SELECT ON disputes TO coalition_app, coalition_settlement, coalition_auditor;
GRANT SELECT ON SEQUENCE disputes_number_seq TO coalition_app, coalition_settlement;
GRANT INSERT ON disputes TO coalition_settlement;
GRANT UPDATE (state, awarded_minor, note, proposer, settle_request_id) ON disputes TO coalition_settlement;
"""

# Who stands for a participant that has left. Settlement hands over, and suspends who leaves.
SUCCESSORS = """
ALTER TABLE participants ADD COLUMN successor_id integer;
GRANT UPDATE (state, successor_id) ON participants TO coalition_settlement;
"""

# The first window of a calendar that was opened while the coalition traded begins behind this journal number.
CALENDARS = """
ALTER TABLE windows ADD COLUMN open_number bigint;
GRANT INSERT ON calendars TO coalition_settlement;
"""

# Where the scheme asks for it, a version holds once others have approved it. Constant defaults rewrite no row.
SIGNATURES = """
ALTER TABLE scheme ADD COLUMN agreements_need_approval boolean NOT NULL DEFAULT false;
ALTER TABLE agreement_versions ADD COLUMN is_signed boolean NOT NULL DEFAULT true;
GRANT UPDATE (agreements_need_approval) ON scheme TO coalition_app;
GRANT UPDATE (is_signed) ON agreement_versions TO coalition_app;
"""

# For the job that takes expired bonuses. None of the columns changes but is_open, which flips when a lot empties or
# reopens: updates of lots stay HOT. Built while the tills sell.
BONUSES = """
CREATE INDEX CONCURRENTLY IF NOT EXISTS lots_bonus ON lots (bonus_expiry, lot_id)
    WHERE is_open AND bonus_expiry IS NOT NULL;
"""


def upgrade() -> None:
    """Widen one constraint, lay tables and an index; the previous release neither reads nor writes them."""
    for statements in (KINDS, FEES, CAPS, DISPUTES, SUCCESSORS, CALENDARS, SIGNATURES):
        op.execute(statements)
    with op.get_context().autocommit_block():
        op.execute(BONUSES)


def downgrade() -> None:
    """Correcting entries of this release would stay without what explains them."""
    raise RuntimeError("revision 0022 cannot be undone; drop the database instead")
