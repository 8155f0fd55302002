"""Where the value of merged wallets goes on to: the acts tell hashes of both wallets (domain/links.py), the tables tell
the wallets. V9 asks whether what arrives was led there; V20 whether the tables lead as the acts did.
"""

from collections.abc import Iterator
from typing import Any

from coalition.audit.bundle import Bundle
from coalition.audit.checks.opened import Opened
from coalition.audit.checks.report import Report
from coalition.audit.checks.told import Tables
from coalition.domain.ids import number_of
from coalition.domain.kinds import Kind
from coalition.domain.links import merge_link


class MergeChecks:
    """Sees every act; the wallets of the tables were read before (`led`: what was merged, into what)."""

    def __init__(self, bundle: Bundle, report: Report, tables: Tables, led: dict[int, int]) -> None:
        self._bundle = bundle
        self._check = report.checks["V20"]
        self._tables = tables
        self._led = led
        self._from: dict[int, list[int]] = {}
        for wallet, into in led.items():
            self._from.setdefault(into, []).append(wallet)
        self._told: dict[str, int] = {}  # by link, the number of the batch that told it
        self._untold = 0  # acts of a release that told no wallets

    def act(self, opened: Opened, told: dict[str, Any]) -> None:
        """The next act."""
        if opened.entry.kind != Kind.MEMBERS_MERGED:
            return
        if "wallets_sha256" in told:
            self._told[told["wallets_sha256"]] = number_of(opened.entry.entry_id)
        else:
            self._untold += 1

    @property
    def is_whole(self) -> bool:
        """Whether every merge there was is known by its wallets."""
        return not self._untold and self._bundle.start_size == 0

    def led_to(self, wallet: int, into: int) -> bool:
        """Whether an act seen so far led the value of the one wallet to the other."""
        return merge_link(wallet, into) in self._told

    def onwards(self, wallet: int) -> Iterator[int]:
        """The wallets that cards of this one may lead to, itself first while the tables may say so."""
        seen: set[int] = set()
        while wallet not in seen:
            seen.add(wallet)
            into = self._led.get(wallet)
            number = None if into is None else self._told.get(merge_link(wallet, into))
            if number is None or number > self._tables.since:
                yield wallet
            if into is None:
                return
            wallet = into

    def origins(self, wallet: int) -> Iterator[int]:
        """This wallet, and those that were merged into it."""
        waiting, seen = [wallet], set()
        while waiting:
            each = waiting.pop()
            if each not in seen:
                seen.add(each)
                waiting += self._from.get(each, ())
                yield each

    def is_merged(self, wallet: int) -> bool:
        """Whether the tables say that the wallet was merged into another."""
        return wallet in self._led

    def finish(self) -> None:
        """Everything was seen."""
        if not self._tables.are_there:
            return
        found = set()
        for wallet, into in self._led.items():
            self._check.looked_at += 1
            link = merge_link(wallet, into)
            found.add(link)
            if link in self._told:
                continue
            sentence = f"wallet {wallet} leads to wallet {into} in the tables, and no merge led it there"
            if self._untold:
                self._check.lacks(f"{sentence}, or one of a release that did not tell")
            else:
                self._tables.stray(self._check, sentence)
        for link, number in self._told.items():
            if number <= self._tables.since and link not in found:
                self._check.breach(f"the wallet that was merged in batch {number} leads elsewhere in the tables")
