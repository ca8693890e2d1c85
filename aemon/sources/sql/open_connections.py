"""Keeps the connections that a source uses, for another thread that cancels their queries."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import sqlalchemy as sa

from aemon.threads import start_thread

CANCEL_SECONDS = 2.0  # longest wait for a server that does not answer
_LOOKS = "aemon_looks"  # key in a connection's info: whether the server can check the client
_LOOK = (  # every 5,000 ms; not possible before version 14 or on Windows
    "DO $$ BEGIN PERFORM set_config('client_connection_check_interval', '5000', true);"
    " EXCEPTION WHEN OTHERS THEN NULL; END $$"
)


class OpenConnections:
    """The connections of an engine that are in use.

    After `cut`, a connection is closed when its use ends.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._in_use: dict[int, Any] = {}
        self._others: list[Callable[[], object]] = []
        self.is_cut = False
        sa.event.listen(engine, "checkout", self._taken)
        sa.event.listen(engine, "checkin", self._returned)
        if engine.dialect.name == "postgresql":
            sa.event.listen(engine, "connect", _try_to_let_the_server_look)
            sa.event.listen(engine, "begin", _let_the_server_look)

    @contextmanager
    def cancelled_by(self, cancel: Callable[[], object]) -> Iterator[None]:
        """Let `cut` call `cancel` while the context lasts."""
        with self._lock:
            self._others.append(cancel)
        try:
            yield
        finally:
            with self._lock:
                self._others.remove(cancel)

    def cut(self) -> None:
        """Cancel the running queries, if the driver can cancel queries."""
        with self._lock:
            self.is_cut = True
            in_use = list(self._in_use.values())
            others = list(self._others)
        for cancel in others:
            with suppress(Exception):
                cancel()
        for connection in in_use:
            if hasattr(connection, "thread_id"):  # drivers of MariaDB and MySQL
                self._kill_query(connection)
            else:
                _cancel(connection)

    def _kill_query(self, connection: Any) -> None:
        """End a query through a second connection, because these drivers cannot cancel."""
        with suppress(Exception):
            number = int(connection.thread_id())
            start_thread(self._kill, f"cancel:{number}", number).join(CANCEL_SECONDS)

    def _kill(self, number: int) -> None:
        with suppress(Exception):  # otherwise the query ends after its timeout
            pool = self._engine.pool.recreate()
            connection = pool.connect()
            connection.cursor().execute(f"KILL QUERY {number}")
            connection.close()
            pool.dispose()

    def _taken(self, connection: Any, _record: object, _proxy: object) -> None:
        with self._lock:
            self._in_use[id(connection)] = connection

    def _returned(self, connection: Any, record: Any) -> None:
        with self._lock:
            self._in_use.pop(id(connection), None)
            is_cut = self.is_cut
        if is_cut:
            record.invalidate()  # the pool is gone, so nothing else would close the connection


def _cancel(connection: Any) -> None:
    with suppress(Exception):  # otherwise the query ends later: timeout, or check of the client
        if hasattr(connection, "cancel_safe"):  # psycopg
            connection.cancel_safe(timeout=CANCEL_SECONDS)
        elif hasattr(connection, "interrupt"):  # SQLite
            connection.interrupt()
        elif hasattr(connection, "cancel"):  # psycopg2
            connection.cancel()


def _try_to_let_the_server_look(connection: Any, record: Any) -> None:
    """Find out whether the server can check that the client still runs; keep the answer.

    Servers that only use PostgreSQL's protocol may lack this check.
    """
    cursor = connection.cursor()
    try:
        cursor.execute(_LOOK)
        record.info[_LOOKS] = True
    except Exception:  # noqa: BLE001 -- any error means that the server cannot
        record.info[_LOOKS] = False
    finally:
        cursor.close()
        connection.rollback()


def _let_the_server_look(connection: sa.Connection) -> None:
    """Let the server end a query if the client has died; by default, the query runs to its end.

    The setting is for this transaction only, because a pooler may share the session.
    """
    if connection.info.get(_LOOKS):
        connection.exec_driver_sql(_LOOK)
