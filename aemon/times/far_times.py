"""Reads PostgreSQL times that Python cannot represent: infinity, and very far years."""

from datetime import UTC, date, datetime
from typing import Any

_LONG_AGO, _FAR_AHEAD = datetime(1, 1, 2), datetime(9999, 12, 30)  # noqa: DTZ001 -- any zone can hold them


def is_far(value: object) -> bool:
    """Return whether a value was read in place of a time that Python cannot represent."""
    if not isinstance(value, date):
        return False
    if isinstance(value, datetime):
        return value.replace(tzinfo=None) in (_LONG_AGO, _FAR_AHEAD)
    return value in (_LONG_AGO.date(), _FAR_AHEAD.date())


def read_far_times(connection: Any, _record: object = None) -> None:
    """Make a psycopg connection read far times without an error.

    Infinity and years after 9999 are read as a time of the year 9999; years before 1 are read as a
    time of the year 1. A time of day or a duration that Python cannot represent is read as text.

    The function is a listener of SQLAlchemy's event `connect`.
    """
    from psycopg import DataError
    from psycopg.pq import Format
    from psycopg.types import datetime as loaders

    def forgiving(name: str, base: type[Any], ahead: object, ago: object) -> None:
        # Use the driver's loader in C if it is installed; the Python loader is ten times slower.
        oid = connection.adapters.types[name].oid
        quick = connection.adapters.get_loader(oid, Format.TEXT) or base

        class Loader(base):  # type: ignore[misc]
            def __init__(self, oid: int, context: Any = None) -> None:
                super().__init__(oid, context)
                self._load = quick(oid, context).load

            def load(self, data: Any) -> Any:
                try:
                    return self._load(bytes(data))
                except DataError:
                    text = bytes(data)
                    return ago if text.startswith(b"-") or text.endswith(b"BC") else ahead

        connection.adapters.register_loader(name, Loader)

    forgiving("timestamp", loaders.TimestampLoader, _FAR_AHEAD, _LONG_AGO)
    forgiving(
        "timestamptz",
        loaders.TimestamptzLoader,
        _FAR_AHEAD.replace(tzinfo=UTC),
        _LONG_AGO.replace(tzinfo=UTC),
    )
    forgiving("date", loaders.DateLoader, date(9999, 12, 30), date(1, 1, 2))
    for name, base in (
        ("time", loaders.TimeLoader),
        ("timetz", loaders.TimetzLoader),
        ("interval", loaders.IntervalLoader),
    ):
        connection.adapters.register_loader(name, _or_text(base))


def _or_text(base: type[Any]) -> type[Any]:
    """Return a loader class that returns a value as text if Python has no such value (24:00:00)."""
    from psycopg import DataError

    class Loader(base):  # type: ignore[misc]
        def load(self, data: Any) -> Any:
            try:
                return super().load(data)
            except (DataError, OverflowError):
                return bytes(data).decode()

    return Loader
