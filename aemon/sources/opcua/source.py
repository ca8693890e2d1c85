"""Values of an OPC UA server as a stream of records."""

from collections.abc import Callable, Iterable, Sequence

import pandas as pd

from aemon.clock import Clock
from aemon.frame import Roles
from aemon.sources.opcua.buckets import Bucket
from aemon.sources.opcua.listening import Listener
from aemon.sources.opcua.settings import OpcUaSource
from aemon.sources.source import Arrived

# These names cannot be columns of nodes: a column of a node cannot begin with $.
_TIME, _KEY, _ENTITY = "$time", "$key", "$entity"


class OpcUa:
    """A stream of records: one for each entity and bucket while the server is connected."""

    roles = Roles(time=_TIME, key=_KEY, entity=_ENTITY)

    def __init__(self, settings: OpcUaSource, clock: Clock) -> None:
        self._settings = settings
        self._listener = Listener(settings, clock)

    def resume(self, _notes: Sequence[str], _wake: Callable[[], None]) -> None:
        """Do nothing: the server keeps no values for a client that is not connected."""

    def take(self, limit: int) -> Arrived:
        """Hand over at most `limit` complete records, oldest first.

        Raises:
            ResourceError: the machine cannot start another thread.
            SourceError: no value has arrived, and the server cannot be reached at the moment.
            SourceConfigError: no value has arrived, and the server refuses the connection or has
                none of the nodes.
        """
        listener = self._listener
        listener.start()
        piece, set_aside = listener.take(limit)
        problem = listener.problem
        empty = not piece.items and not piece.lost and not set_aside
        if empty and problem is not None and not listener.is_over:
            raise problem
        return Arrived(
            table=_table(piece.items), more=piece.more, lost=piece.lost, set_aside=set_aside
        )

    def describe(self) -> str:
        """Return a short description: the server, the number of node names and the security."""
        settings = self._settings
        names = f"{len(settings.nodes)} name{'' if len(settings.nodes) == 1 else 's'} of nodes"
        exposed = settings.user is not None and settings.security != "sign_and_encrypt"
        warning = "; THE PASSWORD GOES OVER THE NETWORK IN CLEAR TEXT" if exposed else ""
        return f"{settings.url}: {names}, security {settings.security}{warning}"

    def close(self) -> None:
        """Disconnect; a bucket that has not ended makes no record."""
        self._listener.close()


def _table(buckets: Iterable[Bucket]) -> pd.DataFrame:
    """Return buckets as a table; without buckets, the table has the columns of the roles."""
    rows = [
        {
            **one.columns,
            _TIME: one.begin,
            _KEY: one.begin.isoformat(),
            _ENTITY: one.entity,
        }
        for one in buckets
    ]
    if not rows:
        return pd.DataFrame(columns=[_TIME, _KEY, _ENTITY])
    table = pd.DataFrame(rows)
    table[_TIME] = pd.to_datetime(table[_TIME], utc=True).astype("datetime64[us, UTC]")
    return table
