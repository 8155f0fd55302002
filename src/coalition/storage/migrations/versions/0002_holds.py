"""Holds: what is kept aside of a wallet, until when, and what ended it.

Revision ID: 0002
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# A hot row like a lot's: lane first, no foreign keys. What a hold reserves of which lot are the allocations of its
# entry. A hold is written twice, when it is made and when it ends; that the index forbids the second a HOT update costs
# less than finding those whose time is over among all that ever were.
HOLDS = """
CREATE TABLE holds (
    lane smallint NOT NULL,
    entry_id bigint NOT NULL,
    wallet_id bigint NOT NULL,
    participant_id integer NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    expire_time timestamptz NOT NULL,
    is_open boolean NOT NULL DEFAULT true,
    resolved_kind smallint,
    PRIMARY KEY (lane, entry_id),
    CHECK (is_open = (resolved_kind IS NULL))
);
CREATE INDEX holds_open ON holds (expire_time, entry_id) WHERE is_open;
GRANT SELECT ON holds TO coalition_app, coalition_settlement;
GRANT INSERT ON holds TO coalition_app;
GRANT UPDATE (is_open, resolved_kind) ON holds TO coalition_app;
"""


def upgrade() -> None:
    """Lay the table; nothing that exists is touched."""
    op.execute(HOLDS)


def downgrade() -> None:
    """Holds are money promised to merchants: a release without them cannot serve these books."""
    raise RuntimeError("revision 0002 cannot be undone; drop the database instead")
