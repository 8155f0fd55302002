"""Uploads and what is told of a sale: entries.details, sale references in use, the members' debts.

Revision ID: 0006
"""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

# Nullable and without a default: no row is written, and the code before this one inserts without naming it.
DETAILS = "ALTER TABLE entries ADD COLUMN details bytea"

# A fold of the journal that the desk keeps by itself, because two tills may send one sale at once: the primary key is
# what they meet at. A row goes when its entry is undone. Lane first, a hash of the rest, as for `requests`.
REFERENCES = """
CREATE TABLE sale_references (
    lane smallint NOT NULL,
    terminal_id integer NOT NULL,
    reference text NOT NULL,
    entry_id bigint NOT NULL,
    PRIMARY KEY (lane, terminal_id, reference)
);
GRANT SELECT ON sale_references TO coalition_app, coalition_settlement;
GRANT INSERT, DELETE ON sale_references TO coalition_app;
GRANT UPDATE (entry_id) ON sale_references TO coalition_app;
"""

# What wallets could not give to their uploads, less what came back of that: allocations of no lot (lot_id 0). Asked by
# wallet it goes along entries_wallet.
DEBTS = """
CREATE VIEW member_debts AS
SELECT e.lane, e.wallet_id, e.card_id, e.entry_id, e.participant_id AS acquirer_id, e.business_date, a.agreement_id,
       a.agreement_version, a.face AS shortfall_minor, a.face - coalesce(back.face, 0)::bigint AS owed_minor
FROM entries e JOIN allocations a USING (lane, entry_id)
CROSS JOIN LATERAL (
    SELECT sum(b.face) AS face FROM allocations b
    WHERE b.lane = a.lane AND b.original_entry_id = a.entry_id AND b.lot_id = 0
) AS back
WHERE e.kind = 13 AND e.reason = 0 AND a.lot_id = 0 AND a.original_entry_id IS NULL
  AND a.face > coalesce(back.face, 0);
GRANT SELECT ON member_debts TO coalition_app, coalition_settlement, coalition_auditor;
"""


def upgrade() -> None:
    """Add the column, lay the table and the view."""
    for statements in (DETAILS, REFERENCES, DEBTS):
        op.execute(statements)


def downgrade() -> None:
    """What was told of sales is in the leaves: without it they cannot be proved any more."""
    raise RuntimeError("revision 0006 cannot be undone; drop the database instead")
