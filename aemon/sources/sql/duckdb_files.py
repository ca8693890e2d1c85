"""DuckDB: a database file that is only read, or a query over Parquet and CSV files."""

from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.pool import NullPool

IN_MEMORY = ("", ":memory:")


def duckdb_engine(url: sa.URL) -> sa.Engine:
    """Return an engine that reads a DuckDB file, or the files that a query names.

    A process that writes a DuckDB file locks the file against all other processes. A process that
    reads the file locks the file against writing processes, so a connection is open during one read
    only. The engine neither writes nor creates files; a query may not attach, install or load
    anything.

    Raises:
        ModuleNotFoundError: DuckDB is not installed.
        NoSuchModuleError: DuckDB's dialect for SQLAlchemy is not installed.
    """
    is_file = url.database is not None and url.database not in IN_MEMORY
    settings: dict[str, Any] = {
        "autoinstall_known_extensions": False,  # aemon downloads no code
        "temp_directory": "",  # no temporary files beside the database file
        "threads": 1,
    }
    engine = sa.create_engine(
        url,
        poolclass=NullPool,
        hide_parameters=True,
        connect_args={"read_only": is_file, "config": settings},
    )
    if is_file:

        def look(*_given: object) -> None:
            if not Path(str(url.database)).is_file():
                raise FileNotFoundError(str(url.database))

        sa.event.listen(engine, "do_connect", look)
    return engine
