"""`pkcs11:` URIs (RFC 7512), as far as we use them: which module, which token, which object, where the PIN is.

    pkcs11:token=coalition;object=NAME?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=file:/run/hsm-pin

The ring file holds these URIs, so they never hold a PIN: `pin-source` names the file that does (0600 or refused).
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote

from keys.errors import CustodyRefused

SCHEME: Final = "pkcs11:"
FILE: Final = "file:"


@dataclass(frozen=True, slots=True)
class Pkcs11Uri:
    """`object` is None where the URI names a place for keys to be made in. `wrapped` is a file beside the ring file."""

    token: str
    object: str | None
    module_path: str
    pin_source: Path
    wrapped: str | None = None

    def with_object(self, name: str, wrapped: str | None = None) -> "Pkcs11Uri":
        """The URI of a key made in this place."""
        return replace(self, object=name, wrapped=wrapped)

    def __str__(self) -> str:
        path = f"token={_quoted(self.token)}" + (f";object={_quoted(self.object)}" if self.object else "")
        query = f"module-path={_quoted(self.module_path)}&pin-source={FILE}{_quoted(str(self.pin_source))}"
        return f"{SCHEME}{path}?{query}" + (f"&wrapped={_quoted(self.wrapped)}" if self.wrapped else "")


def parse_pkcs11_uri(text: str) -> Pkcs11Uri:
    """Read such a URI. Raises CustodyRefused naming the attribute that is missing, unknown or wrong."""
    path, _, query = text.removeprefix(SCHEME).partition("?")
    attributes: dict[str, str] = {}
    for pair in [*filter(None, path.split(";")), *filter(None, query.split("&"))]:
        name, equals, value = pair.partition("=")
        if name in {"pin-value", "pin"}:
            # Not quoted back: the URI holds the PIN.
            raise CustodyRefused(SCHEME, "a PIN has no place in a URI; name its file: pin-source=file:/PATH")
        if name not in {"token", "object", "module-path", "pin-source", "wrapped"} or not equals or name in attributes:
            raise CustodyRefused(text, f"attribute {name!r} is unknown, empty or given twice")
        attributes[name] = unquote(value)
    for name in ("token", "module-path", "pin-source"):
        if not attributes.get(name):
            raise CustodyRefused(text, f"attribute {name} is missing")
    pin_source = attributes["pin-source"].removeprefix(FILE)
    # A path that depends on where a command was started would point to another file under another command.
    for name, value in (("pin-source", pin_source), ("module-path", attributes["module-path"])):
        if not Path(value).is_absolute():
            raise CustodyRefused(text, f"attribute {name} must be a whole path, beginning with /")
    return Pkcs11Uri(
        attributes["token"],
        attributes.get("object"),
        attributes["module-path"],
        Path(pin_source),
        attributes.get("wrapped"),
    )


def _quoted(value: str) -> str:
    return quote(value, safe="/")
