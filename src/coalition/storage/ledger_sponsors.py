"""What sponsors have taken on under terms whose issuer bears the rest, held by the batch that sells under them.

One row an agreement, locked before the batch takes its number, so that the order in which a limit is used up is that of
the journal. Read and written by no batch that sells nothing of the kind.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from coalition.domain.commands import Command, ConvertPoints, TopUp
from coalition.domain.programme import Programme
from coalition.storage.arrays import number_columns, whole_numbers
from coalition.storage.journal import Execute
from coalition.storage.pipeline import Answer, Pipeline

# In one order, so that two batches never wait for each other.
HOLD: Final = """
INSERT INTO sponsored_held AS held (terms_id, taken_on_minor)
SELECT terms_id, 0 FROM unnest(%s::integer[]) AS wanted (terms_id) ORDER BY terms_id
ON CONFLICT (terms_id) DO UPDATE SET taken_on_minor = held.taken_on_minor
RETURNING terms_id, taken_on_minor
"""
WRITE: Final = """
UPDATE sponsored_held held SET taken_on_minor = new.taken_on
FROM unnest(%s::integer[], %s::bigint[]) AS new (terms_id, taken_on) WHERE held.terms_id = new.terms_id
"""
PREPARED: Final = (HOLD, WRITE)


def held_terms(programme: Programme, commands: Sequence[Command]) -> list[int]:
    """The agreements under which a command may sell, and whose sponsors' part is held; mostly there is none."""
    if not programme.held_terms:
        return []
    if any(isinstance(command, ConvertPoints) for command in commands):
        return sorted({terms for each in programme.held_terms.values() for terms in each})  # whose, the points say
    issuers = {command.issuer_id for command in commands if isinstance(command, TopUp)} & programme.participants.keys()
    parties = {party for issuer_id in issuers for party in programme.participants[issuer_id].parties}
    return sorted({terms for party in parties for terms in programme.held_terms.get(party, ())})


def hold(pipeline: Pipeline, terms: Iterable[int]) -> Answer:
    """Queue holding what the sponsors of these agreements have taken on, until the transaction ends."""
    return pipeline.execute(HOLD, (whole_numbers(terms),))


def write_taken_on(pipeline: Execute, taken_on: dict[int, int]) -> None:
    """Queue what they have taken on after the batch."""
    pipeline.execute(WRITE, number_columns(sorted(taken_on.items())))
