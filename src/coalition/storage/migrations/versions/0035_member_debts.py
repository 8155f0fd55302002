"""What members paid of their debts, and what was given up.

Revision ID: 0035
Revises: 0033
"""

from alembic import op

revision = "0035"
down_revision = "0033"
branch_labels = None
depends_on = None

# A fold of the journal that its writer, settlement, keeps in the same transaction: whether a payment is too much is
# asked in the transaction of the next. Keyed by the act's request, because its entry has no number yet when the row is
# written. Lane first, that of the sale.
LINES = """
CREATE TABLE debt_lines (
    lane smallint NOT NULL,
    entry_id bigint NOT NULL,
    participant_id integer NOT NULL,
    request_id uuid NOT NULL,
    repaid_minor bigint NOT NULL,
    written_off_minor bigint NOT NULL CHECK (written_off_minor >= 0),
    time timestamptz NOT NULL,
    PRIMARY KEY (lane, entry_id, participant_id, request_id),
    CHECK ((repaid_minor = 0) <> (written_off_minor = 0))
);
GRANT SELECT ON debt_lines TO coalition_app, coalition_settlement, coalition_auditor;
GRANT INSERT ON debt_lines TO coalition_settlement;
"""

# Every shortfall and what became of it. member_debts are those of which something is open: its first columns are those
# it had, so that the release before reads it.
SHORTFALLS = """
CREATE VIEW shortfalls AS
SELECT e.lane, e.wallet_id, e.card_id, e.entry_id, e.participant_id AS acquirer_id, e.business_date, a.agreement_id,
       a.agreement_version, a.face AS shortfall_minor, coalesce(back.face, 0)::bigint AS returned_minor,
       coalesce(told.repaid, 0)::bigint AS repaid_minor, coalesce(told.written_off, 0)::bigint AS written_off_minor
FROM allocations a JOIN entries e USING (lane, entry_id)
CROSS JOIN LATERAL (
    SELECT sum(b.face) AS face FROM allocations b
    WHERE b.lane = a.lane AND b.original_entry_id = a.entry_id AND b.lot_id = 0
) AS back
CROSS JOIN LATERAL (
    SELECT sum(d.repaid_minor) AS repaid, sum(d.written_off_minor) AS written_off FROM debt_lines d
    WHERE d.lane = a.lane AND d.entry_id = a.entry_id
) AS told
WHERE e.kind = 13 AND e.reason = 0 AND a.lot_id = 0 AND a.original_entry_id IS NULL;
CREATE OR REPLACE VIEW member_debts AS
SELECT lane, wallet_id, card_id, entry_id, acquirer_id, business_date, agreement_id, agreement_version, shortfall_minor,
       greatest(shortfall_minor - returned_minor - repaid_minor - written_off_minor, 0) AS owed_minor,
       greatest(repaid_minor - (shortfall_minor - returned_minor), 0) AS credit_minor
FROM shortfalls
WHERE shortfall_minor - returned_minor > repaid_minor + written_off_minor
   OR repaid_minor > shortfall_minor - returned_minor;
GRANT SELECT ON shortfalls TO coalition_app, coalition_settlement, coalition_auditor;
"""


def upgrade() -> None:
    """Lay the table and its two views."""
    for statements in (LINES, SHORTFALLS):
        op.execute(statements)


def downgrade() -> None:
    """What members paid would be asked of them again."""
    raise RuntimeError("revision 0035 cannot be undone; drop the database instead")
