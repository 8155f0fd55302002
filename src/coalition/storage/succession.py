"""A hand-over in SQL: what lots still owe, and who stands for whom afterwards. Runs in the caller's transaction."""

from collections.abc import Mapping

from coalition.domain.succession import Owed, OwedPoints
from coalition.storage.connect import Connection


def owed(connection: Connection, leaving_id: int) -> list[Owed]:
    """What open lots and passes of a participant, and of those it stands for, owe, by who holds the principal today.

    Reads every lot and pass: the caller holds the windows, so that none moves meanwhile.
    """
    rows = connection.execute(
        """
        WITH standing AS (
            SELECT participant_id, coalesce(successor_id, participant_id) AS standing_id FROM participants
        )
        SELECT c.standing_id, sum(l.principal)::bigint, sum(l.bonus)::bigint, sum(l.visits)::bigint
        FROM (SELECT issuer_id, custodian_id, principal, face - principal AS bonus, 0 AS visits
              FROM lots WHERE is_open
              UNION ALL SELECT issuer_id, custodian_id, principal, 0, visits FROM passes WHERE is_open) AS l
            JOIN standing i ON i.participant_id = l.issuer_id JOIN standing c ON c.participant_id = l.custodian_id
        WHERE i.standing_id = %s GROUP BY 1 ORDER BY 1
        """,
        (leaving_id,),
    )
    return [Owed(*row) for row in rows]


def owed_points(connection: Connection, units: Mapping[int, tuple[int, int]]) -> list[OwedPoints]:
    """What members have of these programmes (domain/succession.points_programmes); reads every balance of theirs."""
    rows = connection.execute(
        "SELECT programme_id, sum(balance)::bigint FROM points WHERE programme_id = ANY (%s) GROUP BY 1 ORDER BY 1",
        (list(units),),
    )
    return [OwedPoints(*units[programme_id], points) for programme_id, points in rows]


def hand_over(connection: Connection, leaving_id: int, successor_id: int) -> None:
    """From the next batch on the successor stands for whoever left, and for those that had handed over to it."""
    connection.execute(
        "UPDATE participants SET successor_id = %(successor)s WHERE participant_id = %(leaving)s "
        "OR successor_id = %(leaving)s",
        {"successor": successor_id, "leaving": leaving_id},
    )
    connection.execute("UPDATE participants SET state = 'SUSPENDED' WHERE participant_id = %s", (leaving_id,))
    connection.execute("UPDATE config_epoch SET epoch = epoch + 1")
