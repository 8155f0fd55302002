"""What the commands of a batch present: card numbers and ids by their tokens, and what only a few batches need, codes
and phones.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from coalition.domain.books import Books
from coalition.domain.commands import Command, MergeIn, OnWallet, Presented
from coalition.domain.credentials import CodeEvidence, Device, PayTicket, PhoneEvidence


@dataclass(slots=True)
class PresentedCredentials:
    """`tokens` lead to cards by their credentials (a phone's by the handle that was found), `codes` by their tickets.

    `evidenced` are the commands with a code or a phone. `tickets` and `resolved` fill up as tokens are looked up:
    those of codes, and the others that were not remembered from an earlier batch. `pinned` came with a PIN, `passing`
    wants the passes of its wallet. `wallets` are those that a job of the house names itself.
    """

    tokens: set[bytes]
    codes: set[bytes] = field(default_factory=set)
    evidenced: list[Presented] = field(default_factory=list)
    tickets: dict[bytes, PayTicket] = field(default_factory=dict)
    resolved: set[bytes] = field(default_factory=set)
    pinned: set[bytes] = field(default_factory=set)
    wallets: set[int] = field(default_factory=set)
    passing: set[bytes] = field(default_factory=set)


def presented_by(commands: Sequence[Command]) -> PresentedCredentials:
    """What these commands present, sorted by how it is resolved."""
    tokens: set[bytes] = set()
    evidenced: list[Presented] = []
    pinned: set[bytes] = set()
    wallets: set[int] = set()
    passing: set[bytes] = set()
    for command in commands:
        if isinstance(command, Presented):
            if getattr(command, "pin", None) is not None:
                pinned.add(name_of(command))
            if command.uses_passes:
                passing.add(name_of(command))
            if command.evidence is None:
                tokens.add(command.token)
            else:
                evidenced.append(command)
        elif isinstance(command, OnWallet | MergeIn):
            wallets.add(command.wallet_id)
    presented = PresentedCredentials(tokens, evidenced=evidenced, pinned=pinned, wallets=wallets, passing=passing)
    for command in evidenced:
        evidence = command.evidence
        if isinstance(evidence, CodeEvidence):
            presented.codes.add(command.token)
        elif isinstance(evidence, PhoneEvidence) and evidence.handle is not None:
            tokens.add(evidence.handle)
    return presented


def name_of(command: Presented) -> bytes:
    """By what a command's credential is looked up: the handle of a phone's, the token of any other."""
    evidence = command.evidence
    if isinstance(evidence, PhoneEvidence) and evidence.handle is not None:
        return evidence.handle
    return command.token


def fill_presented(books: Books, presented: PresentedCredentials, devices: Sequence[tuple[Any, ...]]) -> None:
    """Put tickets and their devices into the books, and each phone's card under the token of what was said."""
    books.tickets.update(presented.tickets)
    for row in devices:
        device = Device(*row)
        books.devices[device.card_id] = device
    for command in presented.evidenced:
        if isinstance(command.evidence, PhoneEvidence) and command.evidence.handle in books.cards:
            books.cards[command.token] = books.cards[command.evidence.handle]
