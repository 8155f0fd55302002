"""What the journal tells of whose a wallet is: never that it is, and enough for who holds the rows to check them.

An act of reception that leads something to a wallet, and names a member too, tells the hash of both numbers. Who reads
the journal alone would have to guess them; who holds the tables makes the hash again.
"""

import hashlib


def card_link(card_id: int, wallet_id: int) -> str:
    """That a card which moved in pays from this wallet: SHA-256, hex."""
    return _hashed("card", card_id, wallet_id)


def merge_link(wallet_id: int, into_wallet_id: int) -> str:
    """That the value of one wallet goes on to another: SHA-256, hex."""
    return _hashed("merge", wallet_id, into_wallet_id)


def _hashed(what: str, one: int, other: int) -> str:
    return hashlib.sha256(f"{what} {one} {other}".encode()).hexdigest()
