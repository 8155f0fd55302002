"""Points: what wallets have of each programme, what entries earned or spent of them, and a unit for each version.

Revision ID: 0027
"""

from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

# Not validated: what is there satisfied a narrower one. A version of a points programme has a unit of its own, from 100
# on (domain/accounts.py); no other has one. The table holds hundreds of rows, which nobody writes at a till: its index
# is built at once.
KINDS = """
-- squawk-ignore ban-drop-constraint
ALTER TABLE agreements DROP CONSTRAINT agreements_kind_check;
ALTER TABLE agreements ADD CONSTRAINT agreements_kind_check
    CHECK (kind IN ('TERMS', 'ACCEPTANCE', 'ACQUIRING', 'CARD_RULES', 'LIMITS', 'FEES', 'CAPS', 'PASSES', 'POINTS'))
    NOT VALID;
ALTER TABLE agreement_versions ADD COLUMN unit smallint;
-- squawk-ignore require-concurrent-index-creation
CREATE UNIQUE INDEX agreement_versions_unit ON agreement_versions (unit) WHERE unit IS NOT NULL;
"""

# Hot rows like a lot's: lane first, no foreign keys; read and written only by batches in which points move. A balance
# may be negative: points that were spent cannot be taken back.
POINTS = """
CREATE TABLE points (
    lane smallint NOT NULL,
    wallet_id bigint NOT NULL,
    programme_id integer NOT NULL,
    balance bigint NOT NULL,
    PRIMARY KEY (lane, wallet_id, programme_id)
) WITH (fillfactor = 70);
CREATE TABLE points_moves (
    lane smallint NOT NULL,
    entry_id bigint NOT NULL,
    programme_id integer NOT NULL,
    programme_version integer NOT NULL,
    points bigint NOT NULL CHECK (points > 0),
    given_back bigint NOT NULL DEFAULT 0 CHECK (given_back BETWEEN 0 AND points),
    PRIMARY KEY (lane, entry_id)
) WITH (fillfactor = 90);
GRANT SELECT ON points, points_moves TO coalition_app, coalition_settlement;
GRANT INSERT ON points, points_moves TO coalition_app;
GRANT UPDATE (balance) ON points TO coalition_app;
GRANT UPDATE (given_back) ON points_moves TO coalition_app;
"""

# What a closed window's points are worth is one entry, posted before it is netted.
VALUATIONS = """
ALTER TABLE windows ADD COLUMN valuation_entry_id bigint;
"""

# The chart of accounts for people, with the kinds that are new.
ACCOUNTS = """
CREATE OR REPLACE FUNCTION account_name(account bigint) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT (ARRAY['WALLET', 'FLOAT', 'BONUS', 'CLEARING', 'DUE', 'BANK', 'COLLATERAL', 'TRANSIT',
                  'PASS', 'POINTS'])[account >> 48]
        || CASE WHEN account & 281474976710655 = 0 THEN ''
                WHEN account & 16777215 = 0 THEN '(' || (account >> 24 & 16777215) || ')'
                ELSE '(' || (account >> 24 & 16777215) || ',' || (account & 16777215) || ')' END
$$;
"""


def upgrade() -> None:
    """Lay the tables, let agreements be points programmes, name their accounts."""
    for statements in (KINDS, POINTS, VALUATIONS, ACCOUNTS):
        op.execute(statements)


def downgrade() -> None:
    """Points are promised to members: a release without them cannot serve these books."""
    raise RuntimeError("revision 0027 cannot be undone; drop the database instead")
