"""What a participant owes is the same before and after netting, and is made again to the same bytes."""

from coalition.domain.accounts import TransferCode
from coalition.storage.exposures import EXPOSURES_FOLD, Exposure, exposures
from tests.ledger_fixtures import Ledger, write_batch
from tests.settlement.test_month import close, net, trade


def test_closing_and_netting_change_nothing_of_what_is_owed_over_all_windows(ledger: Ledger):
    """A cap that counts one window alone is raised by settling another (REQUIREMENTS 3 #10)."""
    trade(ledger)
    reader = ledger.follower().beside(EXPOSURES_FOLD)
    reader.catch_up()
    close(ledger)
    with ledger.connect("coalition_app") as connection:
        write_batch(connection, [(3, 4, 1_000)], code=TransferCode.BONUS)
    net(ledger)
    reader.catch_up()

    with ledger.connect() as connection:
        owed = exposures(connection, [1, 2, 3, 4, 5])
    assert {
        1: Exposure(-180, 0),
        3: Exposure(25_700 + 1_000, 0),
        4: Exposure(-29_520 - 1_000, 0),
        5: Exposure(4_000, 0),
    } == owed
    assert reader.rebuild().equal
