"""A receipt that can be checked offline: an entry's bytes, its path to the root of its batch, the batch's signature.

Root and signature are stored with the batch before COMMIT, so that the same receipt can be told for ever. Who holds one
can show that the entry was acknowledged, whatever became of the log: in the log it must be found, under this leaf.
"""

import hashlib
import json
from base64 import b64decode, b64encode
from dataclasses import dataclass
from typing import Any, Final

from coalition.audit.errors import EvidenceBroken, EvidenceMalformed
from coalition.audit.leaf import LeafData, Payload, actor_hash
from coalition.audit.merkle import leaf_hash
from coalition.audit.notary import batch_message
from coalition.audit.note import Verify
from coalition.audit.proofs import verify_inclusion
from coalition.audit.trust import Trust
from coalition.domain.ids import number_of, place_of

FORMAT: Final = "coalition receipt v1"
RECEIPT_BYTES_MAX: Final = 1024 * 1024
_BYTES: Final = ("leaf", "payload", "root", "signature")


@dataclass(frozen=True, slots=True)
class Receipt:
    """An entry of batch `number`, which has `count`; `path` leads from its leaf to `root`, which is signed."""

    number: int
    count: int
    leaf: bytes
    payload: bytes
    actor: str
    path: tuple[bytes, ...]
    root: bytes
    signature: bytes

    def to_text(self) -> str:
        """The receipt as a file: JSON, bytes in base64."""
        facts: dict[str, Any] = {"format": FORMAT, "number": self.number, "count": self.count, "actor": self.actor}
        facts |= {name: b64encode(getattr(self, name)).decode() for name in _BYTES}
        facts["path"] = [b64encode(each).decode() for each in self.path]
        return json.dumps(facts, sort_keys=True, indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def parse(cls, data: bytes) -> "Receipt":
        """Read a receipt's file. Raises EvidenceMalformed."""
        if len(data) > RECEIPT_BYTES_MAX:
            raise EvidenceMalformed(f"a receipt has at most {RECEIPT_BYTES_MAX} bytes")
        try:
            facts = json.loads(data)
            if facts.pop("format") != FORMAT or not isinstance(facts["actor"], str):
                raise EvidenceMalformed(f"a receipt says that its format is {FORMAT}")
            for name in ("number", "count"):
                if type(facts[name]) is not int or not 0 < facts[name] < 2**40:
                    raise EvidenceMalformed(f"{name} of a receipt is a whole number above 0")
            facts["actor"].encode()  # a lone surrogate is no text
            read = {name: b64decode(facts[name], validate=True) for name in _BYTES}
            path = tuple(b64decode(each, validate=True) for each in facts["path"])
            return cls(number=facts["number"], count=facts["count"], actor=facts["actor"], path=path, **read)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise EvidenceMalformed(f"this is no receipt: {type(error).__name__}") from error

    @property
    def leaf_hash(self) -> bytes:
        """The leaf under which the log must have it."""
        return leaf_hash(self.leaf)

    @property
    def entry_id(self) -> int:
        return Payload.parse(self.payload).entry_id

    @property
    def time_us(self) -> int:
        """When the journal took it, microseconds since 1970, UTC."""
        return LeafData.parse(self.leaf).time_us


def check_receipt(receipt: Receipt, trust: Trust, verify: Verify) -> None:
    """Raise EvidenceBroken or EvidenceMalformed unless the coalition has sealed this entry, byte for byte."""
    data, payload = LeafData.parse(receipt.leaf), Payload.parse(receipt.payload)
    if hashlib.sha256(receipt.payload).digest() != data.payload_hash:
        raise EvidenceBroken("the entry's bytes are not those its leaf names")
    if actor_hash(receipt.actor) != data.actor_hash:
        raise EvidenceBroken("the actor is not the one the leaf names")
    if number_of(payload.entry_id) != receipt.number:
        raise EvidenceBroken(f"entry {payload.entry_id} is not of batch {receipt.number}")
    verify_inclusion(place_of(payload.entry_id), receipt.count, receipt.leaf_hash, receipt.path, receipt.root)
    keys = trust.keys_of(receipt.number)
    if not keys:
        raise EvidenceBroken(f"no key of the trust file may have signed batch {receipt.number}")
    message = batch_message(receipt.number, receipt.count, receipt.root)
    if not any(verify(key, receipt.signature, message) for key in keys):
        raise EvidenceBroken(f"the seal of batch {receipt.number} is by no key of the trust file for it")
