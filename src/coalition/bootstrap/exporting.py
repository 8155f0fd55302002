"""The recipient's side of exports and disclosures: a key pair of its own, and opening what was sealed to it. Runs
without a house.
"""

import base64
import hashlib
import json
import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from coalition.domain.errors import CoalitionError
from keys import KeyRing, KeysError, generate_box_key, open_box, public_box_key

HEADER: Final = "coalition export key 1 "
NOBODY: Final = "00000000-0000-0000-0000-000000000000"


class ExportNotOpened(CoalitionError):
    """A file that holds no such key, or boxes that were not sealed to it or were changed."""


def make_recipient_key(path: Path) -> bytes:
    """Write a new private key to a file that only its owner reads, and that must not exist; the public key, 32 bytes.

    Raises OSError.
    """
    private_key, public_key = generate_box_key()
    path.touch(mode=stat.S_IRUSR | stat.S_IWUSR, exist_ok=False)
    path.write_text(f"{HEADER}{private_key.hex()}\n", encoding="ascii")
    return public_key


def read_recipient_key(path: Path) -> bytes:
    """The private key of a file that `make_recipient_key` wrote. Raises ExportNotOpened, OSError."""
    try:
        text = path.read_text(encoding="ascii")
        if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise ExportNotOpened(f"others may read {path}; run: chmod 600 {path}")
        if not text.startswith(HEADER):
            raise ExportNotOpened(f"{path} is no key of an export")
        return bytes.fromhex(text[len(HEADER) :])
    except ValueError:
        raise ExportNotOpened(f"{path} is no key of an export") from None


def own_key(path: Path) -> tuple[bytes, bytes]:
    """The pair (private, public) of a file, made now where there is none. Raises ExportNotOpened, OSError."""
    if not path.exists():
        make_recipient_key(path)
    private_key = read_recipient_key(path)
    return private_key, public_box_key(private_key)


def fingerprint(public_key: bytes) -> str:
    """SHA-256 of a recipient's key, hex: what its approver names."""
    return hashlib.sha256(public_key).hexdigest()


def opened_export(private_key: bytes, pages: Iterable[str]) -> Iterator[dict[str, Any]]:
    """The members of an export, from the lines that `coalition members export` wrote: a page each, whole and in order.

    Raises ExportNotOpened, at the latest behind the last member.
    """
    last, is_whole = NOBODY, False
    for line in pages:
        try:
            page = json.loads(line)
            export_id, after = str(page["export_id"]), str(page["after"])
            boxes = [base64.b64decode(box, validate=True) for box in page["boxes"]]
        except (ValueError, KeyError, TypeError):
            raise ExportNotOpened("this is not what `members export` wrote") from None
        if is_whole or after != last:
            raise ExportNotOpened("a page is missing, or there is one too many")
        for told in _opened(private_key, export_id, after, boxes):
            if told.get("is_end"):
                is_whole = True
            else:
                last = told["member_id"]
                yield told
    if not is_whole:
        raise ExportNotOpened("the end is missing: fetch it again")


def opened_disclosure(private_key: bytes, disclosure_id: str, boxes: Sequence[bytes]) -> list[dict[str, Any]]:
    """The members of a disclosure that was sealed to this key. Raises ExportNotOpened."""
    contexts = [KeyRing.disclosure_context(disclosure_id, number) for number in range(len(boxes))]
    return _lines(private_key, boxes, contexts, "this was sealed to another key: name the file that you asked with")


def _opened(private_key: bytes, export_id: str, after: str, boxes: Sequence[bytes]) -> list[dict[str, Any]]:
    contexts = [KeyRing.export_context(export_id, after, number) for number in range(len(boxes))]
    return _lines(
        private_key, boxes, contexts, "a page was not sealed to this key, was changed, or is of another export"
    )


def _lines(
    private_key: bytes, boxes: Sequence[bytes], contexts: Sequence[bytes], otherwise: str
) -> list[dict[str, Any]]:
    """What the lines of these boxes tell, each box of its context. Raises ExportNotOpened(`otherwise`)."""
    try:
        told = b"".join(open_box(private_key, box, context) for box, context in zip(boxes, contexts, strict=True))
        return [json.loads(line) for line in told.split(b"\n") if line]
    except (KeysError, ValueError):
        raise ExportNotOpened(otherwise) from None
