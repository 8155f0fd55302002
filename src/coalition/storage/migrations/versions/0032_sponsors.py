"""What sponsors have taken on: a fold of the lots sold, and where a limit is reached.

Revision ID: 0032
Revises: 0031
"""

from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None

# `sponsored_bonus` is a fold of the journal, a row a version of terms; `sponsors_reached` follows from it.
SPONSORS = """
CREATE TABLE sponsored_bonus (
    terms_id integer NOT NULL,
    terms_version integer NOT NULL,
    granted_minor bigint NOT NULL,
    PRIMARY KEY (terms_id, terms_version)
);
CREATE TABLE sponsors_reached (
    terms_id integer PRIMARY KEY,
    is_reached boolean NOT NULL,
    borne_minor bigint NOT NULL,
    number bigint NOT NULL
);
GRANT SELECT ON sponsored_bonus, sponsors_reached TO coalition_app, coalition_settlement, coalition_auditor;
GRANT INSERT, UPDATE, DELETE ON sponsored_bonus, sponsors_reached TO coalition_app, coalition_settlement;
"""


def upgrade() -> None:
    """Lay two tables; the fold begins at the journal's first number."""
    op.execute(SPONSORS)


def downgrade() -> None:
    """A release without them would grant bonus beyond what sponsors agreed to."""
    raise RuntimeError("revision 0032 cannot be undone; drop the database instead")
