"""Several values as one message: what is hashed, sealed or signed must have one reading only."""

from keys.record import encoded


def labelled(label: bytes, *parts: str | bytes) -> bytes:
    """The label and the parts, each with its length before it, so that no two lists of parts give the same bytes.

    One label is never the beginning of another's; text is taken as UTF-8, and "a" and b"a" are the same part.
    """
    message = label
    for part in parts:
        octets = part if isinstance(part, bytes) else encoded(part)
        message += len(octets).to_bytes(4, "big") + octets
    return message
