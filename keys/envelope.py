"""Member data keys and their wraps. A data key leaves this room only wrapped; the caller stores wraps in keydb."""

import hmac
from dataclasses import dataclass, field
from uuid import UUID

from keys.custody import SECRET_BYTES, KeyWrapper
from keys.errors import SealBroken
from keys.randomness import Random, draw

CHECK_BYTES = 16


@dataclass(frozen=True, slots=True)
class WrappedKey:
    """A member's data key as keydb stores it. `check` binds it to its member, so two rows cannot be swapped."""

    dek_id: UUID
    kek_version: int
    wrapped: bytes = field(repr=False)
    check: bytes = field(repr=False)


def wrap_new(
    wrapper: KeyWrapper, kek_version: int, deployment_id: UUID, member_id: UUID, random: Random
) -> tuple[WrappedKey, bytes]:
    """A fresh data key for the member, wrapped, and the key itself."""
    dek_id = UUID(bytes=draw(random, 16), version=4)
    dek = draw(random, SECRET_BYTES)
    check = check_value(dek, dek_id, kek_version, deployment_id, member_id)
    return WrappedKey(dek_id, kek_version, wrapper.wrap(dek), check), dek


def rewrap(
    old: KeyWrapper, new: KeyWrapper, wrapped: WrappedKey, kek_version: int, deployment_id: UUID, member_id: UUID
) -> WrappedKey:
    """The same data key, wrapped by another key-encryption key. Raises SealBroken as `unwrap` does."""
    dek = unwrap(old, wrapped, deployment_id, member_id)
    check = check_value(dek, wrapped.dek_id, kek_version, deployment_id, member_id)
    return WrappedKey(wrapped.dek_id, kek_version, new.wrap(dek), check)


def unwrap(wrapper: KeyWrapper, wrapped: WrappedKey, deployment_id: UUID, member_id: UUID) -> bytes:
    """The data key. Raises SealBroken when it was wrapped for another member or deployment, or was changed."""
    dek = wrapper.unwrap(wrapped.wrapped)
    expected = check_value(dek, wrapped.dek_id, wrapped.kek_version, deployment_id, member_id)
    if len(dek) != SECRET_BYTES or not hmac.compare_digest(expected, wrapped.check):
        raise SealBroken
    return dek


def check_value(dek: bytes, dek_id: UUID, kek_version: int, deployment_id: UUID, member_id: UUID) -> bytes:
    """Key wrap takes no context of its own, so the context is hashed under the data key itself."""
    context = b"dek-check1" + deployment_id.bytes + dek_id.bytes + member_id.bytes + kek_version.to_bytes(4, "big")
    return hmac.digest(dek, context, "sha256")[:CHECK_BYTES]
