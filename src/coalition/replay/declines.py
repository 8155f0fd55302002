"""Why an operation was declined, once more: from what the wallet held then, by the rules that tills are told.

INSUFFICIENT_FUNDS: all of the wallet is too little. NOT_ACCEPTED_HERE: what is taken here is. PARTICIPANT_CAPPED: it
would have been enough, but for the value of whoever is capped; or a capped seller keeps cash that is another's. Whether
a cap was reached by then `exposure.py` says. Any other reason is a difference: nothing in this trade may lead to it.
"""

from coalition.replay.agreed import FactsMissing
from coalition.replay.asked import Asked
from coalition.replay.facts import Facts
from coalition.replay.posting import Books


def explain_decline(facts: Facts, books: Books, asked: Asked) -> None:
    """Note a sentence where a decline does not follow from the wallet. Raises FactsMissing if nobody knows whose."""
    books.declines += 1
    if asked.wallet == 0:
        raise FactsMissing(f"entry {asked.entry} was declined, and whose card was shown is not in the export")
    if asked.kind == "TOP_UP":
        is_explained = asked.reason == "PARTICIPANT_CAPPED" and asked.participant == asked.capped
    else:
        held = sum(lot.face for lot in books.wallets[asked.wallet])
        if asked.balance != held:
            books.told.append(f"entry {asked.entry}: the wallet was told to hold {asked.balance}, computed {held}")
        is_explained = asked.kind == "PURCHASE" and asked.reason == _reason(facts, books, asked)
    if not is_explained:
        books.told.append(
            f"entry {asked.entry}: a {asked.kind} of {asked.amount} at {asked.participant} was declined, {asked.reason}"
        )


def _reason(facts: Facts, books: Books, asked: Asked) -> str:
    """Why the wallet does not give the amount; "" where it would. What a capped issuer owes is taken at home alone."""
    lots = books.wallets[asked.wallet]
    here = [lot for lot in lots if facts.taken(lot.issuer, asked)]
    capped = sum(lot.face for lot in here if lot.issuer == asked.capped != asked.participant)
    if sum(lot.face for lot in lots) < asked.amount:
        return "INSUFFICIENT_FUNDS"
    if sum(lot.face for lot in here) - capped >= asked.amount:
        return ""
    return "PARTICIPANT_CAPPED" if capped else "NOT_ACCEPTED_HERE"
