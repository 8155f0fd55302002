"""The log tells ids and lines of code; it never tells what was in a message."""

import pytest

from coalition.domain.errors import Refused
from coalition.domain.reasons import Reason
from coalition.log import REDACTED, redacted, with_frames


def test_sensitive_fields_are_dropped():
    event = redacted(None, "info", {"event": "x", "card_number": "9123", "phone": "138", "entry_id": 7})

    assert {"event": "x", "card_number": REDACTED, "phone": REDACTED, "entry_id": 7} == event


def test_an_exception_is_told_by_its_type_and_its_lines():
    """A database's message may quote what was written."""
    with pytest.raises(ValueError) as caught:
        int("9123456789012345 already exists")

    event = with_frames(None, "error", {"event": "x", "exc_info": caught.value})

    assert "ValueError" == event["error"]
    assert "9123" not in str(event)
    assert event["frames"]


def test_our_own_errors_tell_their_cause():
    event = with_frames(None, "error", {"event": "x", "exc_info": Refused(Reason.QUEUE_FULL)})

    assert "QUEUE_FULL" in event["cause"]
