"""Promise 15: a name, phone or card number leaves no trace in logs, errors, metrics, traces, dumps, data files or WAL.

A canary is searched for in every form it could be written in, a marker that may be stored proves that the search finds.
"""

import base64
import hashlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from coalition.bootstrap.exporting import opened_disclosure
from coalition.client import CallRefused, Connection, new_request_id
from coalition.domain.cards import check_digit
from coalition.storage.binaries import find_binaries
from coalition.storage.embedded import SUPERUSER
from coalition.v1 import member_pb2, operations_pb2, portal_pb2, terminal_pb2
from keys import generate_box_key
from tests.faults.site import Site
from tests.faults.trade import Trade, purchase, seat
from tests.phones import enrolled_phone, mistyped
from tests.telemetry.collector import running_collector
from tests.telemetry.scrape import free_port, page

NAME = "司徒Quetzalina Überbär"
PHONE = "+8619912345067"
CARD = (CARD_BODY := "947130582640917") + check_digit(CARD_BODY)
ACCOUNT = "CN77CANARY19283746550"
SUBJECT = "oQz7-canary-of-a-chat-account"
NEW_CARD = (NEW_CARD_BODY := "958241693751028") + check_digit(NEW_CARD_BODY)
FIRST_DATABASE_OF_OURS = 16_384  # below are the databases that PostgreSQL brings with it
MARKER = "marker-of-a-sale-7741"
pytestmark = [pytest.mark.xdist_group("faults"), pytest.mark.timeout(240)]


def test_personal_data_and_card_numbers_leave_no_trace(site: Site, trade: Trade, tmp_path: Path):
    metrics = f"127.0.0.1:{free_port()}"
    with running_collector() as collector:
        watched = {"metrics_listen": metrics, "trace_endpoint": collector.endpoint, "trace_ratio": "1"}
        with site.attached(**watched) as server:
            shown, seed = live_a_life(site, server.address)
            told = fail_on_purpose(site, server.address)
            seen = {"metrics": page(metrics).encode()}
        assert 20 <= len(collector.spans())  # what waited was sent before the server ended
        seen |= {f"spans: {number}": body for number, body in enumerate(collector.bodies)}
    site.execute("CHECKPOINT")
    # Zeros to the end are files allocated ahead.
    places = {
        place: data.rstrip(b"\0").lower()
        for place, data in {**everything_written(site), **dumps(site, tmp_path), **seen}.items()
    }
    canaries = (NAME, PHONE, ACCOUNT, CARD, NEW_CARD, SUBJECT, *shown)
    needles = {form: canary for canary in canaries for form in forms(canary)}
    needles |= dict.fromkeys((seed.lower(), seed.hex().encode(), *(b.lower() for b in base64_forms(seed))), "seed")

    found = [f"a form of canary {canary[:2]}... in {place}" for place, data in places.items()
             for form, canary in needles.items() if form in data]  # fmt: skip
    assert [] == found
    assert not any(form in sentence.encode().lower() for sentence in told for form in needles)
    # The search works: what is stored on purpose is found in dump, data files and WAL alike.
    marked = {place.split(":")[0] for place, data in places.items() if MARKER.encode() in data}
    assert {"ledger dump", "ledger data", "ledger wal"} <= marked
    assert b"insufficient_funds" in places["metrics"]
    assert any(b"insufficient_funds" in data for place, data in places.items() if place[:5] == "spans")
    assert any(b"command_failed" in data for place, data in places.items() if place[:3] == "log")
    size = sum(map(len, places.values()))
    print(f"{len(needles)} forms of {len(canaries) + 1} canaries in none of {len(places)} places, {size:,} bytes")


def live_a_life(site: Site, address: str) -> tuple[list[str], bytes]:
    """Enrol, issue, link, top up, buy, be refused, freeze, replace; every call as a counter and a till make it.

    The codes and tickets that a phone of the member showed, and its seed.
    """
    with (
        site.connection(address, "op/admin") as counter,
        site.connection(address, "t/cafe/main/till-1") as cafe,
        site.connection(address, "t/shop-1/main/till-1") as shop,
    ):
        enrol = member_pb2.EnrolMemberRequest(
            request_id=new_request_id(),
            profile=member_pb2.Profile(name=NAME, phone=PHONE, birth_month=5),
            recruiter="shop-1",
        )
        member = counter.call(counter.members.EnrolMember, enrol)
        counter.call(counter.members.EnrolMember, enrol)
        again = member_pb2.EnrolMemberRequest(request_id=new_request_id(), profile=enrol.profile, recruiter="shop-1")
        assert "MEMBER_EXISTS" == refused(counter, counter.members.EnrolMember, again).reason
        issue = member_pb2.IssueCardRequest(request_id=new_request_id(), issuer="shop-1", card_number=CARD)
        counter.call(counter.members.IssueCard, issue)
        twice = member_pb2.IssueCardRequest(request_id=new_request_id(), issuer="shop-1", card_number=CARD)
        assert "CARD_NUMBER_TAKEN" == refused(counter, counter.members.IssueCard, twice).reason
        counter.call(
            counter.members.LinkCard,
            member_pb2.LinkCardRequest(request_id=new_request_id(), card_number=CARD, member_id=member.member_id),
        )
        counter.call(
            counter.members.FindMember,
            member_pb2.FindMemberRequest(phone=PHONE, purpose=member_pb2.PURPOSE_COUNTER_SERVICE),
        )
        tell_everything(site, address, counter, member.member_id)
        shop.call(
            shop.terminal.TopUp,
            operations_pb2.TopUpRequest(
                request_id=new_request_id(),
                terminal=seat("shop-1"),
                card_number=CARD,
                amount_minor=10_000,
                currency_code="CNY",
                sale_reference=MARKER,
            ),
        )
        bought = purchase(CARD, 700).purchase
        cafe.call(cafe.terminal.Purchase, bought)
        for request, reason in (
            (purchase(CARD, 5_000_000), "INSUFFICIENT_FUNDS"),
            (purchase(CARD, 10**11), "AMOUNT_TOO_LARGE"),
            (purchase(CARD, 701, request_id=bought.request_id), "REQUEST_ID_REUSED"),
        ):
            assert reason == refused(cafe, cafe.terminal.Purchase, request.purchase).reason
        cafe.call(cafe.terminal.GetBalance, terminal_pb2.GetBalanceRequest(card_number=CARD))
        refused(cafe, cafe.terminal.Purchase, purchase(CARD + "1" * 9, 700).purchase)
        refused(cafe, cafe.terminal.Purchase, purchase(CARD[:-1] + str((int(CARD[-1]) + 1) % 10), 700).purchase)
        counter.call(
            counter.members.FreezeCard, member_pb2.FreezeCardRequest(request_id=new_request_id(), card_number=CARD)
        )
        assert "CARD_FROZEN" == refused(cafe, cafe.terminal.Purchase, purchase(CARD, 700).purchase).reason
        counter.call(
            counter.members.ReplaceCard,
            member_pb2.ReplaceCardRequest(request_id=new_request_id(), card_number=CARD, new_card_number=NEW_CARD),
        )
        assert "CARD_REPLACED" == refused(cafe, cafe.terminal.Purchase, purchase(CARD, 700).purchase).reason
        cafe.call(cafe.terminal.Purchase, purchase(NEW_CARD, 700).purchase)
        return pay_without_a_card(counter, cafe, shop, UUID(member.member_id))


def tell_everything(site: Site, address: str, counter: Connection, member_id: str) -> None:
    """Revise, consent, export, and see unmasked; moved in from elsewhere twice, and refused."""
    revise = member_pb2.ReviseMemberRequest(request_id=new_request_id(), member_id=member_id)
    revise.refund_account.CopyFrom(member_pb2.RefundAccount(bank="Bank", number=ACCOUNT, holder=NAME))
    counter.call(counter.members.ReviseMember, revise)
    groups = (member_pb2.FIELD_GROUP_IDENTITY, member_pb2.FIELD_GROUP_REFUND_ACCOUNT)
    private_key, key = generate_box_key()
    ask = member_pb2.RequestDisclosureRequest(
        request_id=new_request_id(),
        member_ids=[member_id],
        field_groups=groups,
        purpose=member_pb2.PURPOSE_DISPUTE,
        recipient_key=key,
    )
    disclosure_id = counter.call(counter.members.RequestDisclosure, ask).disclosure_id
    with site.connection(address, "ap/ben") as approver, site.connection(address, "mg/portal") as gateway:
        approve = member_pb2.ApproveDisclosureRequest(request_id=new_request_id(), disclosure_id=disclosure_id)
        approver.call(approver.members.ApproveDisclosure, approve)
        told = gateway.call(gateway.portal.GetOwnData, portal_pb2.GetOwnDataRequest(member_id=member_id)).export_json
    seen = counter.call(counter.members.GetDisclosure, member_pb2.GetDisclosureRequest(disclosure_id=disclosure_id))
    assert NAME in told.decode()
    (shown,) = opened_disclosure(private_key, disclosure_id, seen.boxes)
    assert (NAME, ACCOUNT) == (shown["identity"]["name"], shown["refund_account"]["number"])
    moved = member_pb2.ImportMembersRequest(request_id=new_request_id(), recruiter="shop-1")
    moved.members.add(name=NAME, phone=PHONE, card_number=CARD)
    moved.members.add(name=NAME, phone=PHONE + "12345")
    lines = counter.call(counter.members.ImportMembers, moved).lines
    assert ["MEMBER_EXISTS", "FIELD_INVALID"] == [line.reason for line in lines]


def pay_without_a_card(
    counter: Connection, cafe: Connection, shop: Connection, member_id: UUID
) -> tuple[list[str], bytes]:
    """By a phone's codes, good and bad ones; by another system's id; by a phone number."""
    phone = enrolled_phone(counter.members, member_id)
    named = operations_pb2.VirtualId(namespace="chat", subject=SUBJECT)
    mine = {"request_id": new_request_id(), "member_id": str(member_id)}
    counter.call(counter.members.AddVirtualId, member_pb2.AddVirtualIdRequest(**mine, virtual_id=named))
    counter.call(counter.members.AddPhone, member_pb2.AddPhoneRequest(**{**mine, "request_id": new_request_id()}))

    def presenting(**credential: Any) -> operations_pb2.PurchaseRequest:
        request = purchase(NEW_CARD, 100).purchase
        request.MergeFrom(operations_pb2.PurchaseRequest(**credential))
        return request

    codes = [phone.code() for _ in range(5)] + [phone.code(3_600)]
    cafe.call(cafe.terminal.Purchase, presenting(payment_code=codes[0]))
    for code, reason in (
        (codes[0], "PAYMENT_CODE_USED"),
        (mistyped(codes[1]), "PAYMENT_CODE_WRONG"),
        (codes[5], "PAYMENT_CODE_WRONG"),
        (codes[4][:-1] + str((int(codes[4][-1]) + 1) % 10), "FIELD_INVALID"),
    ):
        assert reason == refused(cafe, cafe.terminal.Purchase, presenting(payment_code=code)).reason
    cafe.call(cafe.terminal.GetBalance, terminal_pb2.GetBalanceRequest(payment_code=phone.code()))
    cafe.call(cafe.terminal.Purchase, presenting(virtual_id=named))
    assert "PIN_REQUIRED" == refused(cafe, cafe.terminal.Purchase, presenting(phone=PHONE)).reason
    shop.call(shop.terminal.GetBalance, terminal_pb2.GetBalanceRequest(phone=PHONE))
    return [*codes, *(code[2:14] for code in codes)], phone.seed


def fail_on_purpose(site: Site, address: str) -> list[str]:
    """Server errors in every room, by rights taken away from it; PostgreSQL logs the statements that failed.

    What clients were told: nothing but INTERNAL.
    """
    errors = []
    broken = ("entries", "member_records", "credentials", "lots")
    other = member_pb2.Profile(name=NAME, phone=PHONE[:-1] + "8")
    number = "96" + CARD[2:-1]
    with (
        site.connection(address, "op/admin") as counter,
        site.connection(address, "t/cafe/main/till-1") as cafe,
    ):
        for table in broken:
            site.execute(f"REVOKE INSERT, UPDATE ON {table} FROM coalition_app")
        try:
            errors.append(refused(cafe, cafe.terminal.Purchase, purchase(NEW_CARD, 500).purchase))
            errors.append(
                refused(
                    counter,
                    counter.members.EnrolMember,
                    member_pb2.EnrolMemberRequest(request_id=new_request_id(), profile=other, recruiter="shop-1"),
                )
            )
            errors.append(
                refused(
                    counter,
                    counter.members.IssueCard,
                    member_pb2.IssueCardRequest(
                        request_id=new_request_id(), issuer="shop-1", card_number=number + check_digit(number)
                    ),
                )
            )
        finally:
            for table in broken:
                site.execute(f"GRANT INSERT ON {table} TO coalition_app")
            for table in ("credentials", "lots"):
                site.execute(f"GRANT UPDATE ON {table} TO coalition_app")
    assert ["INTERNAL"] * len(errors) == [error.code for error in errors]
    return [f"{error} {error.metadata} {error.fields}" for error in errors]


def refused(connection: Connection, method: Any, request: object) -> CallRefused:
    with pytest.raises(CallRefused) as caught:
        connection.call(method, request)
    return caught.value


def forms(canary: str) -> Iterator[bytes]:
    """How a text may be written down: encodings of it, of those their hex and base64, plain hashes; in lower case."""
    bare = canary.lstrip("+")
    for text in {canary, bare, canary.casefold(), json.dumps(canary)[1:-1]}:
        for encoding in ("utf-8", "utf-16-le", "utf-16-be"):
            raw = text.encode(encoding)
            yield raw.lower()
            yield raw.hex().encode()
            yield from (each.lower() for each in base64_forms(raw))
    for algorithm in ("md5", "sha1", "sha256"):
        for text in {canary, bare}:
            digest = hashlib.new(algorithm, text.encode()).digest()
            yield digest.hex().encode()
            yield base64.b64encode(digest)[:-3].lower()


def base64_forms(raw: bytes) -> Iterator[bytes]:
    """Base64 of the text wherever it begins in a longer one: three alignments, without the characters at the edges."""
    for offset in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            coded = encode(b"\0" * offset + raw)
            first = -(-offset * 8 // 6)
            yield coded[first : (offset + len(raw)) * 8 // 6]


def everything_written(site: Site) -> dict[str, bytes]:
    """Logs of every server process and of both databases, and all data files and WAL of both."""
    places = {f"log: {log.name}": log.read_bytes() for log in site.directory.glob("server-*.log")}
    for name in ("ledger", "keydb"):
        database = site.database(name)
        places[f"log: postgres {name}"] = Path(database.log_file).read_bytes()
        data = Path(database.data_directory)
        for file in (data / "pg_wal").iterdir():
            if file.is_file():
                places[f"{name} wal: {file.name}"] = file.read_bytes()
        for file in (data / "base").glob("*/*"):
            if int(file.parent.name) >= FIRST_DATABASE_OF_OURS:
                places[f"{name} data: {file.name}"] = file.read_bytes()
    return places


def dumps(site: Site, directory: Path) -> dict[str, bytes]:
    """pg_dump of both databases, as a backup would take them."""
    program = find_binaries(None, uid=None, state_root=directory).directory / "pg_dump"
    told = {}
    for name in ("ledger", "keydb"):
        done = subprocess.run(
            [str(program), "--dbname", site.database(name).dsn(SUPERUSER), "--no-sync"],
            capture_output=True,
            check=True,
            timeout=60,
        )
        told[f"{name} dump:"] = done.stdout
    return told
