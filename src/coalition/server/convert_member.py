"""Members and cards between the messages of the door and the words of reception. Personal fields come in; what
goes out is masked, but for the disclosures that two people asked for and approved.
"""

from collections.abc import Iterable
from dataclasses import asdict
from typing import TypeAlias
from uuid import UUID

from coalition.domain.acts import Act
from coalition.domain.members import NO_LIMITS, CardLimits
from coalition.membership.card_views import CardAnswer, CardOfMember, CardView
from coalition.membership.field_groups import (
    Attributes,
    Consent,
    Contact,
    Identity,
    Part,
    RefundAccount,
)
from coalition.membership.intake import Arrival
from coalition.membership.profile import MemberView, Profile
from coalition.membership.reading_room import AT_A_GLANCE
from coalition.server.acting import receipt
from coalition.server.convert import timestamp_of
from coalition.v1 import member_pb2, operations_pb2

CardRequest: TypeAlias = (
    member_pb2.FreezeCardRequest
    | member_pb2.UnfreezeCardRequest
    | member_pb2.ReplaceCardRequest
    | member_pb2.SetCardLimitsRequest
)


def profile_of(message: member_pb2.Profile) -> Profile:
    """What the person told; month 0 is not told."""
    return Profile(message.name, message.phone, message.birth_month or None)


def purpose_word(purpose: member_pb2.Purpose.ValueType) -> str:
    """A purpose as reception writes it: COUNTER_SERVICE, ..."""
    return member_pb2.Purpose.Name(purpose).removeprefix("PURPOSE_")


def card_of(request: CardRequest) -> str | CardOfMember:
    """The card a request names: its number, or whose it is and which."""
    if request.WhichOneof("card") == "card_number":
        return request.card_number
    named = request.card_of_member
    return CardOfMember(UUID(named.member_id), named.card_id)


def limits_of(message: member_pb2.CardLimits) -> CardLimits:
    """Limits as they were said; what was not said is no limit."""
    return CardLimits(**{field.name: value for field, value in message.ListFields()})


def arrival_of(line: member_pb2.ImportedMember) -> Arrival:
    """A member who moves in; what was not told is none."""
    return Arrival(Profile(line.name, line.phone, line.birth_month or None), line.card_number or None)


def groups_of(groups: Iterable[member_pb2.FieldGroup.ValueType]) -> tuple[str, ...]:
    """Field groups as reception writes them: identity, ...; none said is what a glance needs."""
    names = tuple(member_pb2.FieldGroup.Name(group).removeprefix("FIELD_GROUP_").lower() for group in groups)
    return names or AT_A_GLANCE


def part_of(request: member_pb2.ReviseMemberRequest) -> Part:
    """The field group as it is from now on."""
    name = request.WhichOneof("part")
    if name == "identity":
        return Identity(request.identity.name, request.identity.birth_month or None)
    if name == "phone":
        return Contact(request.phone)
    if name == "refund_account":
        account = request.refund_account
        return RefundAccount(account.bank, account.number, account.holder)
    return Attributes(dict(request.attributes.values))


def consent_word(purpose: member_pb2.ConsentPurpose.ValueType) -> str:
    """What a consent is for, as reception writes it: MARKETING, ..."""
    return member_pb2.ConsentPurpose.Name(purpose).removeprefix("CONSENT_PURPOSE_")


def consent_message(consent: Consent) -> member_pb2.Consent:
    """What a member said about one purpose."""
    return member_pb2.Consent(
        purpose=member_pb2.ConsentPurpose.Value(f"CONSENT_PURPOSE_{consent.purpose}"),
        given=consent.is_given,
        notice_version=consent.notice_version,
        set_time=timestamp_of(consent.set_time),
    )


def member_message(view: MemberView) -> member_pb2.Member:
    """A member as staff may see it; without a profile once it is erased."""
    message = member_pb2.Member(
        member_id=str(view.member_id),
        wallet_id=view.wallet_id,
        state=member_pb2.MemberState.Value(f"MEMBER_STATE_{view.state}"),
        recruiter=view.recruiter,
        create_time=timestamp_of(view.create_time),
        cards=[card_message(card) for card in view.cards],
        real_name_verified=view.real_name_verified,
        merged_into=str(view.merged_into or ""),
    )
    profile = member_pb2.MaskedProfile(
        name_masked=view.masked_name,
        phone_masked=view.masked_phone,
        refund_account_masked=view.masked_account,
        consents=[consent_message(each) for each in view.consents],
        attributes=view.attributes,
    )
    if profile.ByteSize():
        message.profile.CopyFrom(profile)
    return message


def card_message(view: CardView) -> member_pb2.Card:
    """A card by all but its number."""
    return member_pb2.Card(
        card_id=view.card_id,
        last_four=view.last_four,
        state=operations_pb2.CardState.Value(f"CARD_STATE_{view.state}"),
        issuer=view.issuer,
        member_id=str(view.member_id) if view.member_id else "",
        wallet_id=view.wallet_id or 0,
        replaced_by_card_id=view.replaced_by or 0,
        kind=member_pb2.CardKind.Value(f"CARD_KIND_{view.kind}"),
        limits=None if view.limits == NO_LIMITS else member_pb2.CardLimits(**asdict(view.limits)),
    )


def card_receipt(act: Act, answer: CardAnswer) -> operations_pb2.ActReceipt:
    """How the journal recorded what became of a card."""
    return receipt(act, answer.entry_id, answer.time, replayed=answer.replayed)
