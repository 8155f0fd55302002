"""How a command that failed says so: the reason, a sentence, and what to type next. Never repeats what was typed."""

from typing import Final

from coalition.cli.money import format_number
from coalition.cli.output import console
from coalition.client import CallRefused, ServerUnreachable

# Facts that a refusal carries and a person can use; the rest is for programs.
HIDDEN_FACTS: Final = frozenset({"replayed"})

NEXT_STEPS: Final = {
    "CARD_UNKNOWN": "check the number; a new card is made by: coalition card issue --issuer PARTICIPANT",
    "CARD_NOT_LINKED": "coalition card link --member MEMBER_ID --card -",
    "CARD_FROZEN": "coalition card unfreeze --card -   or   coalition card replace --card -",
    "CARD_ALREADY_LINKED": "coalition card show --card -",
    "CARD_STATE_CONFLICT": "coalition card show --card -",
    "INSUFFICIENT_FUNDS": "coalition top-up --at PARTICIPANT/STORE/TERMINAL --card - AMOUNT",
    "NOT_ACCEPTED_HERE": "headquarters may allow it: coalition agreement add acceptance --help",
    "PARTICIPANT_CAPPED": "headquarters may raise its cap: coalition agreement add caps --help",
    "NO_ACQUIRING_AGREEMENT": "headquarters adds one: coalition agreement add acquiring --help",
    "TERMS_UNKNOWN": "headquarters adds them: coalition agreement add terms --help; see also top-up --issuer, --terms",
    "TERMS_NOT_SOLD_HERE": "coalition agreement show CODE lists the sellers",
    "ORIGINAL_UNKNOWN": "coalition entries --at PARTICIPANT/STORE/TERMINAL --card - lists the purchases",
    "REFUND_EXCEEDS_ORIGINAL": "coalition entries --at PARTICIPANT/STORE/TERMINAL --card - lists earlier refunds",
    "PIN_REQUIRED": "coalition pay --pin ask",
    "PIN_LOCKED": "the member sets a new one at the counter: coalition member pin MEMBER_ID",
    "PIN_NOT_SET": "the member sets one at the counter: coalition member pin MEMBER_ID",
    "PIN_KEY_MISSING": "where the key ring is: python -m keys add --help; then the server is started anew",
    "REAL_NAME_REQUIRED": "coalition member verify MEMBER_ID, once an identity document was seen",
    "FUNDING_NOT_ALLOWED": "coalition top-up --funding bank-transfer",
    "CARD_LIMIT_EXCEEDED": "coalition card limit --card - sets other limits",
    "LOT_TOUCHED": "coalition entries --at PARTICIPANT/STORE/TERMINAL --card - lists what was spent",
    "HOLD_UNKNOWN": "coalition entries --at PARTICIPANT/STORE/TERMINAL --card - lists what was kept aside",
    "HOLD_RESOLVED": "nothing is left of it: authorize again, or sell by a purchase",
    "KILLED": "leave --request-id out: this one was undone before it came",
    "CERTIFICATE_REVOKED": "headquarters issues a new one: python -m keys renew --help",
    "MEMBER_UNKNOWN": "coalition member find, or enrol the person: coalition member enrol",
    "MEMBER_EXISTS": "coalition member find",
    "PARTICIPANT_UNKNOWN": "coalition participant list",
    "PARTICIPANT_EXISTS": "coalition participant list",
    "STORE_UNKNOWN": "coalition store list",
    "STORE_EXISTS": "coalition store list",
    "TERMINAL_UNKNOWN": "--at and --as name who is registered, see coalition terminal list and coalition participant "
    "list; a new one: coalition terminal add PARTICIPANT STORE CODE",
    "TERMINAL_SUSPENDED": "headquarters may let it back in: coalition terminal resume TILL",
    "TERMINAL_EXISTS": "coalition terminal list",
    "TERMINAL_OF_OTHER_STORE": "let --at name the terminal of the identity given by --as",
    "AGREEMENT_UNKNOWN": "coalition agreement list",
    "AGREEMENT_EXISTS": "coalition agreement show CODE, then add with --revises VERSION",
    "AGREEMENT_VERSION_CONFLICT": "coalition agreement show CODE, then add with --revises VERSION",
    "WINDOW_UNKNOWN": "coalition windows",
    "WINDOW_STATE_CONFLICT": "coalition windows",
    "DAY_CLOSE_OUT_OF_ORDER": "coalition day totals --at PARTICIPANT/STORE/TERMINAL shows the next number",
    "DAY_CLOSE_CHAIN_BROKEN": "coalition day totals --at PARTICIPANT/STORE/TERMINAL --json shows the previous_hash",
    "PERMISSION_DENIED": "choose another identity with --as; coalition help says which may do what",
    "REQUEST_ID_REUSED": "leave --request-id out: a new operation needs a new id",
    "REQUEST_ID_TOO_OLD": "check the clock of this machine; leave --request-id out for a new operation",
}

# The patterns of the protos, as a person would say them; a pattern that is not here is shown as it is.
PATTERNS: Final = {
    "^[a-z0-9][a-z0-9-]{0,62}$": "write a-z, 0-9 and -, at most 63 of them, no - first",
    "^(chain:)?[a-z0-9][a-z0-9-]{0,62}$": "write a participant's code, or chain: and the code of a chain",
    "^\\+[1-9][0-9]{6,14}$": "write + and the country code, such as +8613800138000",
    "^[0-9]{12,22}$": "write 12 to 22 digits",
    "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-7[0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}$": "write a version 7 UUID",
}
PATTERN_SENTENCE: Final = "does not match regex pattern"


def show_refusal(refusal: CallRefused) -> None:
    """Say on standard error what was refused, why, and what to do next."""
    out = console(stderr=True)
    out.print(f"refused: {refusal.reason}", style="bold red")
    if refusal.message:
        out.print(refusal.message)
    for violation in refusal.fields:
        # A sentence that was said already is not said again for the field.
        expects = "" if violation.description == refusal.message else f": {expectation(violation.description)}"
        out.print(f"  field {violation.field}{expects}")
    for name, value in sorted(refusal.metadata.items()):
        if name not in HIDDEN_FACTS:
            out.print(f"  {fact_text(name, value)}")
    if refusal.reason in NEXT_STEPS:
        out.print(f"next: {NEXT_STEPS[refusal.reason]}")


def expectation(description: str) -> str:
    """What a field has to be, in words where the service names a pattern."""
    if not description.startswith(PATTERN_SENTENCE):
        return description
    return PATTERNS.get(description.removeprefix(PATTERN_SENTENCE).strip().strip("`"), description)


def fact_text(name: str, value: str) -> str:
    """One fact of a refusal; amounts as people write them."""
    if name.endswith("_minor") and value.lstrip("-").isdecimal():
        return f"{name.removesuffix('_minor').replace('_', ' ')} {format_number(int(value))}"
    return f"{name.replace('_', ' ')} {value}"


def show_unreachable(failure: ServerUnreachable) -> None:
    """Say on standard error that nobody answered, and that a write may still have happened."""
    out = console(stderr=True)
    out.print(f"no answer from {failure.server}", style="bold red")
    if failure.detail:
        out.print(failure.detail)
    out.print("next: start a server in another terminal with: make serve")
    if failure.code == "DEADLINE_EXCEEDED":
        out.print("It is unknown whether a write was posted; the same command with the same --request-id is safe.")
