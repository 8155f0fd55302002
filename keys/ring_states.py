"""The states of key versions, and the two people it takes to let one die.

    ENABLED <-> DISABLED -> DESTROY_SCHEDULED -> DESTROYED        (a scheduled version may be enabled again)

A version that is not ENABLED is not even loaded. The primary version is always ENABLED: rotate first. Destroying asks
for a schedule whose day has come, and for the signatures of two operators over exactly this version and day; they stay
beside the ring, for auditors.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Final

from keys import private_files, ring_file
from keys.authority import Clock, utc_now
from keys.custodians import Custodians
from keys.errors import KeyChangeRefused
from keys.officers import PEOPLE, Agreement, read_agreement, write_agreement
from keys.ring_file import KeyPurpose, KeyState, KeyVersion, RingFile
from keys.ring_keys import name_of
from keys.ring_reading import MAKE_RING, read_ring_file

DESTRUCTION: Final = "key-destruction"
SCHEDULE_DAYS: Final = 30
SCHEDULE_DAYS_MAX: Final = 397


def enable(directory: Path, purpose: KeyPurpose, version: int) -> KeyVersion:
    """Let a version be used again; a scheduled destruction is off. Raises KeyChangeRefused for a destroyed one."""

    def enabled(_: RingFile, found: KeyVersion) -> KeyVersion:
        if found.state is KeyState.DESTROYED:
            raise KeyChangeRefused(purpose.value, version, "is DESTROYED; only a backup of its key brings it back")
        _agreement_path(directory, found).unlink(missing_ok=True)
        return replace(found, state=KeyState.ENABLED, destroy_time=None)

    return _changed(directory, purpose, version, enabled)


def disable(directory: Path, purpose: KeyPurpose, version: int) -> KeyVersion:
    """Take a version out of use until it is enabled again. Raises KeyChangeRefused for the primary one."""

    def disabled(_: RingFile, found: KeyVersion) -> KeyVersion:
        _refuse_in_use(found)
        if found.state not in {KeyState.ENABLED, KeyState.DISABLED}:
            raise KeyChangeRefused(purpose.value, version, f"is {found.state}; enable it first: python -m keys enable")
        return replace(found, state=KeyState.DISABLED)

    return _changed(directory, purpose, version, disabled)


def set_primary(directory: Path, purpose: KeyPurpose, version: int) -> KeyVersion:
    """Let new things be made with a version that is ENABLED already. Raises KeyChangeRefused for any other."""

    def promoted(_: RingFile, found: KeyVersion) -> KeyVersion:
        if found.state is not KeyState.ENABLED:
            raise KeyChangeRefused(purpose.value, version, f"is {found.state}; the primary version must be ENABLED")
        return replace(found, primary=True)

    return _changed(directory, purpose, version, promoted)


def schedule_destruction(
    directory: Path, purpose: KeyPurpose, version: int, *, days: int = SCHEDULE_DAYS, clock: Clock = utc_now
) -> KeyVersion:
    """Take a version out of use, to be destroyed `days` (0 to 397) from now at the earliest.

    What it sealed is unreadable from now on, so a mistake shows while it can still be undone. Raises KeyChangeRefused
    for the primary version and for a destroyed one.
    """
    if not 0 <= days <= SCHEDULE_DAYS_MAX:
        raise KeyChangeRefused(purpose.value, version, f"days must be from 0 to {SCHEDULE_DAYS_MAX}")

    def scheduled(_: RingFile, found: KeyVersion) -> KeyVersion:
        _refuse_in_use(found)
        if found.state is KeyState.DESTROYED:
            raise KeyChangeRefused(purpose.value, version, "is DESTROYED already")
        return replace(found, state=KeyState.DESTROY_SCHEDULED, destroy_time=clock() + timedelta(days=days))

    return _changed(directory, purpose, version, scheduled)


def confirm_destruction(
    directory: Path,
    purpose: KeyPurpose,
    version: int,
    *,
    authority: Path,
    certificate: Path,
    private_key: Path,
    clock: Clock = utc_now,
) -> Sequence[str]:
    """Sign the destruction as one operator; answers everyone who has signed so far.

    Raises KeyChangeRefused for a version that is not scheduled or that this operator has signed, CertificateBroken,
    and the errors of a key file.
    """
    _check(directory)
    with private_files.locked(directory):
        file = read_ring_file(directory)
        found = _found(file, purpose, version)
        agreement = _agreement(directory, file, found)
        before = agreement.people(authority, clock())
        agreement = agreement.signed(certificate, private_key)
        people = agreement.people(authority, clock())
        if people == before:
            raise KeyChangeRefused(purpose.value, version, f"this operator has signed; {PEOPLE} different ones must")
        write_agreement(_agreement_path(directory, found), agreement)
    return people


def destroy(
    directory: Path, purpose: KeyPurpose, version: int, *, authority: Path, clock: Clock = utc_now
) -> KeyVersion:
    """Do away with the key of a version for good, and record it.

    Raises KeyChangeRefused while it is not scheduled, its day has not come, or fewer than two operators have signed;
    CertificateBroken, StatementForged for a signature that is not good; CustodyRefused.
    """

    def destroyed(file: RingFile, found: KeyVersion) -> KeyVersion:
        people = _agreement(directory, file, found).people(authority, clock())
        if found.destroy_time is None or clock() < found.destroy_time:
            raise KeyChangeRefused(purpose.value, version, f"is not to be destroyed before {found.destroy_time}")
        if len(people) < PEOPLE:
            raise KeyChangeRefused(
                purpose.value,
                version,
                f"{len(people)} of {PEOPLE} operators have signed; each signs with: python -m keys confirm-destroy",
            )
        # The key first: what the ring calls destroyed is gone. One cut off here is simply asked again.
        Custodians(directory, None).of(found.uri).destroy(name_of(file, found), found.uri)
        return replace(found, state=KeyState.DESTROYED, destroy_time=clock())

    return _changed(directory, purpose, version, destroyed)


def _changed(
    directory: Path, purpose: KeyPurpose, version: int, change: Callable[[RingFile, KeyVersion], KeyVersion]
) -> KeyVersion:
    """One version changed, the ring file written anew in one step. A new primary takes the mark from the old."""
    _check(directory)
    with private_files.locked(directory):
        file = read_ring_file(directory)
        found = _found(file, purpose, version)
        changed = change(file, found)
        versions = [
            changed
            if each is found
            else replace(each, primary=False)
            if changed.primary and each.purpose is purpose
            else each
            for each in file.versions
        ]
        private_files.replace(directory / ring_file.NAME, ring_file.render(replace(file, versions=tuple(versions))))
    return changed


def _check(directory: Path) -> None:
    private_files.check_directory(directory, f"{MAKE_RING} {directory}")


def _found(file: RingFile, purpose: KeyPurpose, version: int) -> KeyVersion:
    for each in file.of(purpose):
        if each.version == version:
            return each
    raise KeyChangeRefused(purpose.value, version, "is unknown to this ring; look with: python -m keys list")


def _refuse_in_use(found: KeyVersion) -> None:
    if found.primary:
        raise KeyChangeRefused(
            found.purpose.value, found.version, "is the primary one; make the next one first: python -m keys rotate"
        )


def _agreement(directory: Path, file: RingFile, found: KeyVersion) -> Agreement:
    if found.state is not KeyState.DESTROY_SCHEDULED or found.destroy_time is None:
        raise KeyChangeRefused(
            found.purpose.value, found.version, f"is {found.state}; first: python -m keys schedule-destroy"
        )
    body = {
        "deployment_id": str(file.deployment_id),
        "purpose": found.purpose.value,
        "version": found.version,
        "check": found.check.hex(),
        # Scheduled anew means signed anew: nobody agreed to another day.
        "not_before": found.destroy_time.isoformat(),
    }
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":")).encode()
    return read_agreement(_agreement_path(directory, found), DESTRUCTION, canonical)


def _agreement_path(directory: Path, found: KeyVersion) -> Path:
    return directory / f"destroy-{found.purpose.value}-{found.version}.json"
