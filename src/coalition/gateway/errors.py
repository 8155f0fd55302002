"""What the gateway says when it cannot go on.

    GatewayError
      TillsInvalid          the mapping file cannot be used; the message names the line and the cure
      NotebookUnavailable   the notebook cannot be opened or written: nothing is sent then
      ListenerRefused       the port or its TLS files cannot be used
    Unreadable              bytes in which not even the message type can be read: the connection is closed
    Malformed               a message of a known type with a field that is not as the table says: DE39=30
    Declined                the service said no, for good; `reason` is its stable name
    NoAnswer                nobody said yes or no in time; `maybe_posted` tells whether something may have happened

Never holds a value of a message: it may be a card number.
"""


class GatewayError(Exception):
    """The gateway cannot start or go on; the message names the cause and its cure."""


class TillsInvalid(GatewayError):
    """The mapping file cannot be used."""


class NotebookUnavailable(GatewayError):
    """The notebook cannot be opened or written."""


class ListenerRefused(GatewayError):
    """The gateway cannot listen as it was told."""


class Unreadable(Exception):
    """Nothing can be answered to these bytes."""


class Malformed(Exception):
    """`field` is the number of the first field that is missing or not as the table says."""

    def __init__(self, field: str) -> None:
        super().__init__(f"field {field} is missing or malformed")
        self.field = field


class Declined(Exception):
    """The service refused; sending the same again will not help."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class NoAnswer(Exception):
    """The time is over. `reason` is the last thing heard."""

    def __init__(self, reason: str, *, maybe_posted: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.maybe_posted = maybe_posted
