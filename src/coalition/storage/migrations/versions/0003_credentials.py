"""Credentials besides a card's number: what kind a card is, members' devices, and the tickets of their next codes.

Revision ID: 0003
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# A release before this one makes cards of numbers only, which is the default. Not validated: every row that is there
# has the default, and looking would keep the tills waiting.
KINDS = """
ALTER TABLE cards ADD COLUMN kind text NOT NULL DEFAULT 'NUMBER';
ALTER TABLE cards ADD CONSTRAINT cards_kind_known CHECK (kind IN ('NUMBER', 'CODE', 'VIRTUAL', 'PHONE')) NOT VALID;
"""

# Lane first, no foreign keys, as every hot row. `devices` is what an operation with a code reads and writes; the sealed
# seed lies apart, so that the desk's updates do not rewrite it. Tickets up to `used_counter` are dead; `tries` counts
# wrong codes on tickets up to `tried_counter`; `drift` is how many steps the device's clock is ahead. A ticket is kept
# as its keyed hash only.
DEVICES = """
CREATE TABLE devices (
    lane smallint NOT NULL,
    card_id bigint NOT NULL,
    used_counter bigint NOT NULL DEFAULT -1 CHECK (used_counter >= -1),
    tried_counter bigint NOT NULL DEFAULT -1 CHECK (tried_counter >= -1),
    tries smallint NOT NULL DEFAULT 0 CHECK (tries BETWEEN 0 AND 2),
    drift smallint NOT NULL DEFAULT 0 CHECK (drift BETWEEN -4 AND 4),
    PRIMARY KEY (lane, card_id)
) WITH (fillfactor = 70);
CREATE TABLE device_seeds (
    lane smallint NOT NULL,
    card_id bigint NOT NULL,
    wallet_id bigint NOT NULL,
    member_id uuid NOT NULL,
    record_id uuid NOT NULL,
    sealed bytea NOT NULL,
    tickets_until bigint NOT NULL CHECK (tickets_until >= 0),
    PRIMARY KEY (lane, card_id)
);
CREATE TABLE pay_tickets (
    token bytea PRIMARY KEY CHECK (octet_length(token) = 32),
    lane smallint NOT NULL,
    wallet_id bigint NOT NULL,
    card_id bigint NOT NULL,
    counter bigint NOT NULL CHECK (counter >= 0)
);
GRANT SELECT ON devices, device_seeds, pay_tickets TO coalition_app, coalition_settlement;
GRANT INSERT ON devices, device_seeds, pay_tickets TO coalition_app;
GRANT UPDATE (used_counter, tried_counter, tries, drift) ON devices TO coalition_app;
GRANT UPDATE (tickets_until) ON device_seeds TO coalition_app;
GRANT DELETE ON pay_tickets TO coalition_app;
"""


def upgrade() -> None:
    """Tell kinds of cards apart, lay the tables of devices; cards that exist stay what they are."""
    op.execute(KINDS)
    op.execute(DEVICES)


def downgrade() -> None:
    """A release before would take a phone's card for one with a number."""
    raise RuntimeError("revision 0003 cannot be undone; drop the database instead")
