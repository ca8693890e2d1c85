"""What the open episodes of many monitors mean for their states."""

from collections.abc import Sequence

import sqlalchemy as sa

from aemon.records import EpisodeState, Severity
from aemon.store.page_queries.name_lists import is_among
from aemon.store.schema.tables import episodes
from aemon.store.store import Store


def open_severities(store: Store, names: Sequence[str]) -> dict[str, Severity]:
    """Return monitor -> highest severity of its open episodes, for monitors that have any.

    Acknowledged episodes are left out: a person knows of them.

    Raises:
        StoreError: the database fails.
    """
    found: dict[str, Severity] = {}
    with store.reading() as connection:
        query = (
            sa.select(episodes.c.monitor, episodes.c.severity)
            .distinct()
            .where(
                is_among(connection, episodes.c.monitor, names),
                episodes.c.state == EpisodeState.OPEN,
            )
        )
        for name, severity in connection.execute(query):
            critical = severity == Severity.CRITICAL
            if critical or name not in found:
                found[name] = Severity.CRITICAL if critical else Severity.WARNING
    return found
