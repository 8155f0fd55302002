"""PINs: a keyed hash of each wallet's, and how often it was tried.

Revision ID: 0004
"""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# No fold of the journal: a try is counted before anything is known of its outcome, and a crash then leaves the count
# alone. `tries` are those counted since the PIN was set, `forgiven` the number of the last one that was right: two
# numbers that only grow, so that a right PIN never forgets a try that was counted after it. Rows of their own and not
# columns of wallets, because the count must not wait for a batch that holds the wallet.
PINS = """
CREATE TABLE pins (
    lane smallint NOT NULL,
    wallet_id bigint NOT NULL,
    revision integer NOT NULL CHECK (revision > 0),
    tries integer NOT NULL DEFAULT 0,
    forgiven integer NOT NULL DEFAULT 0,
    salt bytea NOT NULL,
    tag bytea NOT NULL,
    key_version integer NOT NULL,
    PRIMARY KEY (lane, wallet_id),
    CHECK (forgiven >= 0 AND forgiven <= tries)
);
GRANT SELECT ON pins TO coalition_app, coalition_settlement;
GRANT INSERT, UPDATE ON pins TO coalition_app;
"""


def upgrade() -> None:
    """Lay the table; nothing that exists is touched."""
    op.execute(PINS)


def downgrade() -> None:
    """Without its PINs a coalition would let everybody pay anything, or nobody."""
    raise RuntimeError("revision 0004 cannot be undone; drop the database instead")
