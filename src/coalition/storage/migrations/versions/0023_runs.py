"""Settlement runs: what is due, runs over windows and their parties, instruction files, banks' results.

Revision ID: 0023
"""

from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

# `due_lines` is a fold of the journal's DUE legs that their writer, settlement, keeps in the same transaction: a run is
# planned on it, and checked against the journal before it is. A run's `content` is all that is approved of it and all
# that its files are made of; it never changes, and holds bank accounts, which auditors do not read. A window is in one
# run at a time, and one run is under way. What a bank has said is only ever added to.
RUNS = """
CREATE TABLE due_lines (
    participant_id integer NOT NULL,
    entry_id bigint NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor <> 0),
    time timestamptz NOT NULL,
    PRIMARY KEY (participant_id, entry_id)
);
CREATE TABLE bank_accounts (
    participant_id integer PRIMARY KEY REFERENCES participants,
    account text NOT NULL CHECK (account ~ '^[A-Za-z0-9]{1,34}$'),
    bank text NOT NULL CHECK (bank ~ '^[A-Z0-9]{1,35}$'),
    holder text NOT NULL CHECK (length(holder) BETWEEN 1 AND 140),
    mandate_id text NOT NULL DEFAULT '' CHECK (length(mandate_id) <= 35),
    mandate_date date
);
CREATE TABLE runs (
    run_id integer PRIMARY KEY CHECK (run_id > 0),
    state text NOT NULL CHECK (state IN ('PREPARED', 'APPROVED', 'SETTLING', 'DONE', 'ABORTED')),
    maker text NOT NULL,
    prepare_time timestamptz NOT NULL,
    collected_minor bigint NOT NULL CHECK (collected_minor >= 0),
    paid_minor bigint NOT NULL CHECK (paid_minor >= 0),
    advance_minor bigint NOT NULL CHECK (advance_minor >= 0),
    advance_limit_minor bigint NOT NULL CHECK (advance_limit_minor >= 0),
    advanced_minor bigint NOT NULL DEFAULT 0 CHECK (advanced_minor >= 0),
    content_hash bytea NOT NULL CHECK (octet_length(content_hash) = 32),
    content bytea NOT NULL
);
CREATE UNIQUE INDEX runs_one_under_way ON runs ((true)) WHERE state IN ('PREPARED', 'APPROVED', 'SETTLING');
CREATE TABLE run_windows (
    run_id integer NOT NULL REFERENCES runs,
    window_id integer NOT NULL REFERENCES windows,
    is_held boolean NOT NULL DEFAULT true,
    PRIMARY KEY (run_id, window_id)
);
CREATE UNIQUE INDEX run_windows_one_run ON run_windows (window_id) WHERE is_held;
CREATE TABLE run_parties (
    run_id integer NOT NULL REFERENCES runs,
    participant_id integer NOT NULL REFERENCES participants,
    due_minor bigint NOT NULL,
    instructed_minor bigint NOT NULL,
    settled_minor bigint NOT NULL DEFAULT 0,
    state text NOT NULL CHECK (state IN ('CARRIED', 'WAITING', 'PAID', 'FAILED', 'RETURNED')),
    instruction_id text UNIQUE CHECK (length(instruction_id) BETWEEN 1 AND 35),
    PRIMARY KEY (run_id, participant_id),
    CHECK ((instruction_id IS NULL) = (instructed_minor = 0)),
    CHECK ((state = 'CARRIED') = (instructed_minor = 0))
);
CREATE INDEX run_parties_waiting ON run_parties (run_id) WHERE state = 'WAITING';
CREATE TABLE run_files (
    run_id integer NOT NULL REFERENCES runs,
    name text NOT NULL,
    sha256 bytea NOT NULL CHECK (octet_length(sha256) = 32),
    byte_count bigint NOT NULL CHECK (byte_count > 0),
    PRIMARY KEY (run_id, name)
);
CREATE TABLE bank_results (
    sha256 bytea PRIMARY KEY CHECK (octet_length(sha256) = 32),
    entry_id bigint NOT NULL,
    line_count integer NOT NULL,
    mismatch_count integer NOT NULL
);
CREATE TABLE bank_lines (
    bank_reference text PRIMARY KEY CHECK (length(bank_reference) BETWEEN 1 AND 140),
    sha256 bytea NOT NULL REFERENCES bank_results,
    instruction_id text NOT NULL REFERENCES run_parties (instruction_id),
    amount_minor bigint NOT NULL,
    currency_code text NOT NULL,
    result text NOT NULL CHECK (result IN ('BOOKED', 'REJECTED', 'RETURNED')),
    entry_id bigint
);
ALTER TABLE approvals ADD COLUMN summary text NOT NULL DEFAULT '';
INSERT INTO due_lines (participant_id, entry_id, amount_minor, time)
    SELECT p.participant_id, w.netting_entry_id, p.net_position_minor, w.net_time
    FROM net_positions p JOIN windows w USING (window_id)
    WHERE w.state = 'NETTED' AND p.unit = 1 AND p.net_position_minor <> 0;
GRANT SELECT ON due_lines, run_windows, run_parties, run_files, bank_results, bank_lines
    TO coalition_app, coalition_settlement, coalition_auditor;
GRANT SELECT (run_id, state, maker, prepare_time, collected_minor, paid_minor, advance_minor,
    advance_limit_minor, advanced_minor, content_hash) ON runs TO coalition_app, coalition_auditor;
GRANT SELECT ON runs, bank_accounts TO coalition_settlement;
GRANT INSERT ON due_lines, runs, run_windows, run_parties, run_files, bank_results, bank_lines, bank_accounts
    TO coalition_settlement;
GRANT UPDATE (state, advanced_minor) ON runs TO coalition_settlement;
GRANT UPDATE (is_held) ON run_windows TO coalition_settlement;
GRANT UPDATE (state, settled_minor) ON run_parties TO coalition_settlement;
GRANT UPDATE, DELETE ON bank_accounts TO coalition_settlement;
"""


def upgrade() -> None:
    """Lay the tables; what was netted before is due from its netting on."""
    op.execute(RUNS)


def downgrade() -> None:
    """What was paid, and who approved it, is evidence: a release without it cannot keep it."""
    raise RuntimeError("revision 0023 cannot be undone; drop the database instead")
