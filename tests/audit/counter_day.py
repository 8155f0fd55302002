"""What counter, headquarters, approvers and keepers of keys do on an auditor's day, each act once or twice.

Besides trade (tests/audit_day.py), so that every subject of the log and every section of the tables has something.
"""

import os
from dataclasses import dataclass, replace
from datetime import date
from uuid import UUID

from coalition.bootstrap.key_events import record_key_ring
from coalition.bootstrap.statements import day_signer
from coalition.client import Connection
from coalition.domain.day_close import DayClose, Total
from coalition.domain.kinds import Kind
from coalition.domain.members import Reader
from coalition.membership.field_groups import Attributes, RefundAccount
from coalition.v1 import terminal_pb2
from coalition.v1.member_pb2 import EnrolDeviceRequest
from keys import KeyPurpose, KeyRing, generate_box_key
from keys.ring_making import rotate_key
from keys.ring_states import disable
from tests.house import House, new_id

BUSINESS_DATE = "2026-11-26"
KEY = generate_box_key()[1]


@dataclass(frozen=True)
class Members:
    """Those of the day: `seen` was disclosed to two people, `asked` only asked for."""

    revised: UUID
    other: UUID
    seen: UUID
    asked: UUID


def counter_day(house: House, address: str) -> Members:
    """Records revised, consents said, members seen by two people, a device, a till suspended."""
    (revised, _), (other, _) = house.new_member(), house.new_member()
    files = house.reception.files
    files.revise(house.act(Kind.MEMBER_REVISED, at=1), revised, Attributes({"favourite_store": "bakery"}))
    files.revise(house.act(Kind.MEMBER_REVISED, at=2), revised, Attributes({"favourite_store": "cafe"}))
    files.revise(house.act(Kind.MEMBER_REVISED, at=3), other, RefundAccount("Bank", "62170000", "Wang Fang"))
    files.consent(house.act(Kind.CONSENT_SET), revised, "MARKETING", "2017-01", is_given=True)
    asker, disclosures = Reader(house.operator_id, "/op/admin"), house.reception.disclosures
    ids = []
    for at in (1, 2):
        act = house.act(Kind.DISCLOSURE_REQUESTED, at=at)
        ids.append(UUID(str(disclosures.request(act, [revised], ("contact",), "DISPUTE", KEY).answer["disclosure_id"])))
    disclosures.approve(replace(house.act(Kind.DISCLOSURE_APPROVED), actor="/ap/ben"), ids[0])
    disclosures.open(asker, ids[0])
    house.reception.reading.member(asker, other, "DISPUTE")
    house.office.set_terminal_state(house.act(Kind.TERMINAL_STATE_CHANGED), "garage", "main", "till-2", "SUSPENDED")
    _enrol_devices(house, address, revised, other)
    return Members(revised, other, ids[0], ids[1])


def key_day(house: House) -> KeyRing:
    """The PIN key gets a second version and its first is disabled, each told to the journal; the ring after that."""
    directory = house.settings.keys_directory
    rotate_key(directory, KeyPurpose.PIN, random=os.urandom)
    record_key_ring(house.settings, KeyRing.load(directory), house.dsn())
    disable(directory, KeyPurpose.PIN, 1)
    ring = KeyRing.load(directory)
    record_key_ring(house.settings, ring, house.dsn())
    return ring


def close_days(house: House, address: str) -> None:
    """Two closes of one till: the first states what the journal counts, the second a sale more."""
    path = "t/cafe/main/till-1"
    connection = Connection(address, house.certificate(path))
    for more in (0, 1):
        day = connection.call(connection.terminal.GetDayTotals, terminal_pb2.GetDayTotalsRequest())
        totals = {
            Kind(each.kind): Total(each.accepted_count, each.accepted_minor, each.declined_count)
            for each in day.since_close
        }
        if more:
            totals[Kind.PURCHASE] = Total(1, 500, 0)
        close = DayClose(
            path.removeprefix("t/"), date.fromisoformat(BUSINESS_DATE), day.next_number, day.previous_hash, totals
        )
        request = terminal_pb2.CloseDayRequest(
            request_id=new_id(),
            business_date=BUSINESS_DATE,
            number=close.number,
            previous_hash=close.previous_hash,
            totals=[
                terminal_pb2.KindTotal(
                    kind=kind.value,  # type: ignore[arg-type]  # one enum on the wire
                    accepted_count=total.accepted_count,
                    accepted_minor=total.accepted_minor,
                    declined_count=total.declined_count,
                )
                for kind, total in sorted(totals.items())
            ],
            signature=day_signer(house.certificate_files(path).key)(close.statement()),
        )
        answer = connection.call(connection.terminal.CloseDay, request)
        assert answer.agrees is not bool(more)
    connection.close()


def _enrol_devices(house: House, address: str, *members: UUID) -> None:
    connection = Connection(address, house.certificate("hq/store-a"))
    for member_id in members:
        _, public = generate_box_key()
        request = EnrolDeviceRequest(request_id=new_id(), member_id=str(member_id), device_public_key=public)
        connection.call(connection.members.EnrolDevice, request)
    connection.close()
