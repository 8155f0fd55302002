"""Erasures are approved like whatever else several people must agree to.

Revision ID: 0024
"""

from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

# Not validated: what is there satisfied narrower ones. No row gives PRIVACY to an approver: each holds it at reception.
ERASURES = """
-- squawk-ignore ban-drop-constraint
ALTER TABLE approvals DROP CONSTRAINT approvals_subject_check;
ALTER TABLE approvals ADD CONSTRAINT approvals_subject_check
    CHECK (subject IN ('RUN', 'ADJUSTMENT', 'WRITE_OFF', 'CAP', 'AGREEMENT', 'ERASURE')) NOT VALID;
-- squawk-ignore ban-drop-constraint
ALTER TABLE approval_steps DROP CONSTRAINT approval_steps_office_check;
ALTER TABLE approval_steps ADD CONSTRAINT approval_steps_office_check
    CHECK (office IN ('FINANCE', 'RATIFIER', 'CHAIRMAN', 'PRIVACY')) NOT VALID;
"""


def upgrade() -> None:
    """Widen two constraints; the previous release neither asks for erasures nor reads them."""
    op.execute(ERASURES)


def downgrade() -> None:
    """Who agreed to an erasure is evidence: a release without it cannot keep it."""
    raise RuntimeError("revision 0024 cannot be undone; drop the database instead")
