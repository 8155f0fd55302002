"""Passes: visits that members have paid for, what is left of them, and the visits that were taken.

Revision ID: 0026
"""

from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

# Not validated: what is there satisfied a narrower one.
KINDS = """
-- squawk-ignore ban-drop-constraint
ALTER TABLE agreements DROP CONSTRAINT agreements_kind_check;
ALTER TABLE agreements ADD CONSTRAINT agreements_kind_check
    CHECK (kind IN ('TERMS', 'ACCEPTANCE', 'ACQUIRING', 'CARD_RULES', 'LIMITS', 'FEES', 'CAPS', 'PASSES')) NOT VALID;
"""

# Hot rows like a lot's: lane first, no foreign keys. Only batches that concern passes read or write them. `is_open`
# flips only when a pass is used up, paid out or opened again, so that updates stay in place. A row of `pass_visits` is
# written once and marked when the visits come back.
PASSES = """
CREATE TABLE passes (
    lane smallint NOT NULL,
    pass_id bigint NOT NULL,
    wallet_id bigint NOT NULL,
    issuer_id integer NOT NULL,
    custodian_id integer NOT NULL,
    seller_id integer NOT NULL,
    terms_id integer NOT NULL,
    terms_version integer NOT NULL,
    last_day date,
    visits_sold integer NOT NULL CHECK (visits_sold > 0),
    price_minor bigint NOT NULL CHECK (price_minor > 0),
    visits integer NOT NULL CHECK (visits BETWEEN 0 AND visits_sold),
    principal bigint NOT NULL CHECK (principal BETWEEN 0 AND price_minor),
    is_over boolean NOT NULL DEFAULT false,
    is_open boolean NOT NULL DEFAULT true,
    PRIMARY KEY (lane, pass_id),
    CHECK (visits > 0 OR principal = 0)
) WITH (fillfactor = 70);
CREATE INDEX passes_open ON passes (lane, wallet_id) WHERE is_open;
CREATE TABLE pass_visits (
    lane smallint NOT NULL,
    entry_id bigint NOT NULL,
    pass_id bigint NOT NULL,
    visits integer NOT NULL CHECK (visits > 0),
    principal bigint NOT NULL CHECK (principal >= 0),
    agreement_id integer,
    agreement_version integer,
    is_returned boolean NOT NULL DEFAULT false,
    PRIMARY KEY (lane, entry_id)
);
GRANT SELECT ON passes, pass_visits TO coalition_app, coalition_settlement;
GRANT INSERT ON passes, pass_visits TO coalition_app;
GRANT UPDATE (visits, principal, is_over, is_open) ON passes TO coalition_app;
GRANT UPDATE (is_returned) ON pass_visits TO coalition_app;
"""

# The chart of accounts for people, with the kinds that are new.
ACCOUNTS = """
CREATE OR REPLACE FUNCTION account_name(account bigint) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT (ARRAY['WALLET', 'FLOAT', 'BONUS', 'CLEARING', 'DUE', 'BANK', 'COLLATERAL', 'TRANSIT',
                  'PASS'])[account >> 48]
        || CASE WHEN account & 281474976710655 = 0 THEN ''
                WHEN account & 16777215 = 0 THEN '(' || (account >> 24 & 16777215) || ')'
                ELSE '(' || (account >> 24 & 16777215) || ',' || (account & 16777215) || ')' END
$$;
"""


def upgrade() -> None:
    """Lay the tables, let agreements sell passes, name their accounts."""
    for statements in (KINDS, PASSES, ACCOUNTS):
        op.execute(statements)


def downgrade() -> None:
    """Passes are money of members: a release without them cannot serve these books."""
    raise RuntimeError("revision 0026 cannot be undone; drop the database instead")
