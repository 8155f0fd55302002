"""`coalition keys rotate --now`: the epoch of the key-encryption key ends today, so that erased members are in no copy
of the key database any more: a new version, every member key wrapped anew by it, old ones scheduled for destruction.

Destroying takes two officers and stays theirs (python -m keys). Each step is found done when it is asked again: a
version newer than the last erasure needs no other, a key of the new version no wrapping, a scheduled one no schedule.
"""

from datetime import datetime
from typing import Final

from coalition.bootstrap.clock import utc_now
from coalition.bootstrap.databases import databases
from coalition.bootstrap.errors import HouseError, StrongroomRefused, strongroom_errors
from coalition.bootstrap.strongroom import existing_key_ring, rotated
from coalition.config import Settings
from coalition.storage.connect import connect
from keys import KeyPurpose, KeyState, KeyVersion
from keys.ring_states import enable, schedule_destruction

FILES: Final = "file:"
KEK: Final = KeyPurpose.KEY_ENCRYPTION
ERASED: Final = "SELECT max(erase_time), count(*) FILTER (WHERE NOT is_finished) FROM erasures"


class ErasureUnfinished(HouseError):
    """A member is erased in the ledger, and its key is not deleted yet: wrapping anew would carry it on."""

    def __init__(self, count: int) -> None:
        super().__init__(f"{count} erasures were cut off: start the server, which finishes them, then run this again")


def begin_epoch(settings: Settings, custody: str | None) -> KeyVersion | None:
    """Make the next version, kept at `custody` or in a file; None where the primary one is newer than any erasure.

    Raises ErasureUnfinished, StrongroomRefused, SettingInvalid, StoreUnavailable.
    """
    primary = next(each for each in existing_key_ring(settings).versions if each.purpose is KEK and each.primary)
    with databases(settings, attach=True) as opened, connect(opened.dsn(), "coalition keys") as ledger:
        ((last, unfinished),) = ledger.execute(ERASED).fetchall()
    if unfinished:
        raise ErasureUnfinished(unfinished)
    if not is_stale(primary, last):
        return None
    if custody is None and not primary.uri.startswith(FILES):
        raise StrongroomRefused(f"the key is kept at {primary.uri}: name with --custody where the new one is kept")
    return rotated(settings, KEK, custody or FILES)


def is_stale(primary: KeyVersion, last_erasure: datetime | None) -> bool:
    """Whether a copy of the key database may hold a key of an erased member, wrapped by this version."""
    return last_erasure is not None and (primary.create_time is None or primary.create_time <= last_erasure)


def end_epoch(settings: Settings) -> list[KeyVersion]:
    """Schedule every earlier version for today; those that wait for two officers. Call once they wrap no member key.

    One that was scheduled for later is scheduled anew, and signed anew. Raises StrongroomRefused.
    """
    directory, waiting = settings.keys_directory, []
    with strongroom_errors():
        for each in existing_key_ring(settings).versions:
            if each.purpose is not KEK or each.primary or each.state is KeyState.DESTROYED:
                continue
            if each.state is KeyState.DESTROY_SCHEDULED and each.destroy_time and each.destroy_time <= utc_now():
                waiting.append(each)
                continue
            enable(directory, KEK, each.version)  # what was signed for another day counts no more
            waiting.append(schedule_destruction(directory, KEK, each.version, days=0))
    return waiting
