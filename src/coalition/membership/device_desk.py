"""The device desk: a member's phone is given a seed once, and what its payment codes are worth is found out here.

A seed is kept sealed under its member's key and told sealed to the device. Of its tickets only keyed hashes are kept.
Nothing is decided about a code: what is found out travels to the desk as evidence.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Generic
from uuid import UUID

from coalition.domain.acts import Act
from coalition.domain.credentials import (
    CODE,
    TICKETS_AHEAD,
    CodeEvidence,
    handle_of,
    shown_digits,
    ticket_token,
)
from coalition.domain.errors import LedgerBroken, Refused
from coalition.domain.members import DEVICE, KnownTicket, NewCard, NewDevice, SealedSeed
from coalition.domain.payment_codes import (
    SEED_BYTES,
    CodeKeys,
    PaymentCode,
    code_keys,
    drift_after,
    matching_step,
    ticket_at,
)
from coalition.domain.reasons import Reason
from coalition.membership.card_views import CardAnswer
from coalition.membership.held_cards import answered, issuing, new_card_told, wallet_of
from coalition.membership.keyed_act import keyed
from coalition.membership.random_ids import Random, random_number, random_uuid
from coalition.membership.seed_cache import SeedCache
from coalition.membership.store import Answer, DeviceStore, Key, Keys, MemberBooks, MemberKeys, MemberStore

TICKETS_SPARE: Final = 32
"""Tickets kept beyond those that are promised, so that not every payment has to add one."""
DEAD_KEPT: Final = 64
"""Dead tickets kept, so that a code which was used a while ago is called used, not unknown."""

SealSeed = Callable[[bytes, bytes, UUID, int], bytes]
"""(the device's public key, seed, member_id, card_id) -> a box that only that device opens, for that card."""


@dataclass(frozen=True, slots=True)
class DeviceAnswer:
    """The device's card, and its seed sealed to the device; empty once the member's key is destroyed."""

    card: CardAnswer
    sealed_seed: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class CodeFinding:
    """What was found out about a code. `ticket` is None where it is unknown, or its seed opens no more."""

    evidence: CodeEvidence
    ticket: KnownTicket | None

    @property
    def needs_tickets(self) -> bool:
        """Whether the device's next tickets should be kept soon: too few are left after a good code."""
        ticket = self.ticket
        return (
            ticket is not None
            and self.evidence.drift is not None
            and ticket.seed.tickets_until - ticket.counter <= TICKETS_AHEAD
        )


class DeviceDesk(Generic[Key]):
    """Callable from any thread."""

    def __init__(
        self,
        store: MemberStore,
        devices: DeviceStore,
        keys: Keys[Key],
        member_keys: MemberKeys[Key],
        seal_seed: SealSeed,
        clock: Callable[[], datetime],
        random: Random,
    ) -> None:
        self._store = store
        self._devices = devices
        self._keys = keys
        self._member_keys = member_keys
        self._seal_seed = seal_seed
        self._clock = clock
        self._random = random
        self._seeds = SeedCache(clock)

    def enrol(self, act: Act, issuer: str, member_id: UUID, public_key: bytes) -> DeviceAnswer:
        """Make a device of the member's that pays by codes, its counter at 0. A repetition is told the same seed.

        MEMBER_UNKNOWN, WALLET_CLOSED, PARTICIPANT_UNKNOWN, SUSPENDED; FIELD_INVALID for what is no public key.
        """
        seed, card_id = self._random(SEED_BYTES), random_number(self._random)
        told = self._seal_seed(public_key, seed, member_id, card_id)  # first: what is no key is refused before anything
        record_id, create_time = random_uuid(self._random), self._clock()
        key = self._member_keys.get([member_id]).get(member_id)
        sealed = b"" if key is None else self._keys.sealer(member_id, key).seal(DEVICE, record_id, 1, seed)
        tickets = self._tokens(code_keys(seed), 0, TICKETS_AHEAD + TICKETS_SPARE)

        def apply(books: MemberBooks) -> Answer:
            issuing(books, issuer)
            wallet_id = wallet_of(books, member_id, "member_id")
            if key is None:
                raise LedgerBroken("a member that is not erased has no key")
            if not books.lock_wallet(wallet_id):
                raise Refused(Reason.WALLET_CLOSED, "member_id")
            token = handle_of(self._keys, card_id)
            card = NewCard(card_id, token, shown_digits(card_id), "ACTIVE", issuer, wallet_id, create_time, CODE)
            if not books.add_card(card):
                raise LedgerBroken("a new card's id has a credential already")
            books.add_device(NewDevice(card_id, wallet_id, member_id, record_id, sealed, tickets))
            return new_card_told(card) | {"seed_sha256": hashlib.sha256(sealed).hexdigest()}

        answer = answered(self._store, self._store.perform(keyed(act, self._keys), apply))
        if answer.card.card_id != card_id:
            told = self._told_again(answer, member_id, public_key)
        return DeviceAnswer(answer, told)

    def find_out(self, code: PaymentCode) -> CodeFinding:
        """What a payment code is worth now. Counts and declines nothing."""
        known = self._devices.ticket(ticket_token(self._keys, code.ticket))
        keys = self._code_keys(known.seed) if known else None
        if known is None or keys is None:
            return CodeFinding(CodeEvidence(None, None), None)
        now = int(self._clock().timestamp())
        step = matching_step(keys.otp_key, code.ticket, code.otp, now, known.drift)
        drift = None if step is None else drift_after(step, now)
        return CodeFinding(CodeEvidence(known.seed.card_id, drift), known)

    def handle(self, card_id: int) -> bytes:
        """The token by which a device's card is read."""
        return handle_of(self._keys, card_id)

    def keep_tickets(self, ticket: KnownTicket) -> None:
        """Keep the tickets of a device's next codes, forget those long dead. For once a payment has its answer."""
        keys = self._code_keys(ticket.seed)
        if keys is None:
            return
        first, until = ticket.seed.tickets_until, ticket.counter + 1 + TICKETS_AHEAD + TICKETS_SPARE
        dead_until = max(0, ticket.used_counter - DEAD_KEPT)
        # A device's counter moves at most so far between two calls.
        dead_from = max(0, dead_until - 2 * (TICKETS_AHEAD + TICKETS_SPARE))
        added, dead = self._tokens(keys, first, until), self._tokens(keys, dead_from, dead_until)
        self._devices.move_tickets(ticket.seed, until, added, dead)

    def _tokens(self, keys: CodeKeys, first: int, until: int) -> tuple[bytes, ...]:
        return tuple(ticket_token(self._keys, ticket_at(keys.ticket_key, counter)) for counter in range(first, until))

    def _code_keys(self, seed: SealedSeed) -> CodeKeys | None:
        """The keys of a device's seed; None where its member's key was destroyed."""
        keys = self._seeds.get(seed.card_id)
        if keys is None:
            opened = self._opened(seed)
            if opened is None:
                return None
            keys = code_keys(opened)
            self._seeds.put(seed.card_id, keys)
        return keys

    def _opened(self, seed: SealedSeed) -> bytes | None:
        key = self._member_keys.get([seed.member_id]).get(seed.member_id)
        if key is None:
            return None
        return self._keys.sealer(seed.member_id, key).open(DEVICE, seed.record_id, 1, seed.sealed)

    def _told_again(self, answer: CardAnswer, member_id: UUID, public_key: bytes) -> bytes:
        """The seed of a device that was enrolled before, for the same device: the request's key is the same."""
        card = answer.card
        seed = self._devices.seed(card.wallet_id, card.card_id) if card.wallet_id is not None else None
        opened = self._opened(seed) if seed else None
        return b"" if opened is None else self._seal_seed(public_key, opened, member_id, card.card_id)
