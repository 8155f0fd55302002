"""The hash by which an act of reception is recognised when it is sent again."""

from dataclasses import replace

from coalition.domain.acts import Act
from coalition.membership.store import Key, Keys


def keyed(act: Act, keys: Keys[Key]) -> Act:
    """The act with its body hash under a key of the house.

    A body with a phone or a card number has so few possibilities that its plain hash, kept for ever in the journal,
    could be tried out. The request id is hashed along, so that equal bodies do not show as equal.
    """
    digest = keys.member_token("request-body", f"{act.participant_id}/{act.request_id}/{act.body_hash.hex()}")
    return replace(act, body_hash=digest)
