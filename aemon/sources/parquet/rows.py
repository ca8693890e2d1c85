"""A reader that returns the rows of a Parquet file in several calls."""

from typing import Any

import pyarrow as pa

from aemon.sources.file_systems.opening import FilePath
from aemon.sources.parquet.footers import BROKEN, Footer, damaged, open_parquet

ROWS_AT_ONCE = 10_000


class RowReader:
    """An open Parquet file with a current row.

    Only the needed columns are read. Row groups that end before the current row are skipped.

    Args:
        path: path of the file.
        footer: the footer of the file.
        columns: names of top-level columns; a structure is read with all its members.
        start: number of rows to skip.

    Attributes:
        at: number of rows that were skipped or read.

    Raises:
        IncompleteError: the file cannot be read.
    """

    def __init__(
        self, path: FilePath, footer: Footer, columns: tuple[str, ...], start: int
    ) -> None:
        self.at = start
        self._path = path
        self._held: Any = None  # rows that were read and not yet taken
        group, before = 0, 0
        while group < len(footer.groups) and before + footer.groups[group] <= start:
            before += footer.groups[group]
            group += 1
        self._left_to_skip = start - before
        try:
            self._file = open_parquet(path)
            self._batches = self._file.iter_batches(
                batch_size=ROWS_AT_ONCE,
                row_groups=list(range(group, len(footer.groups))),
                columns=list(columns),
                use_threads=False,
            )
        except BROKEN as error:
            raise damaged(path, error) from None

    def take(self, count: int) -> Any:
        """Return the next `count` rows as an Arrow table, fewer at the end.

        Raises:
            IncompleteError: the file cannot be read.
        """
        taken: list[Any] = []
        schema = None
        try:
            while count > 0:
                batch = self._held if self._held is not None else next(self._batches, None)
                self._held = None
                if batch is None:
                    break
                skipped = min(self._left_to_skip, len(batch))
                self._left_to_skip -= skipped
                batch = batch.slice(skipped)
                if len(batch) > count:
                    self._held, batch = batch.slice(count), batch.slice(0, count)
                count -= len(batch)
                self.at += len(batch)
                schema = batch.schema
                taken += [batch] if len(batch) else []
        except BROKEN as error:
            raise damaged(self._path, error) from None
        return pa.Table.from_batches(taken, schema=schema) if schema is not None else pa.table({})

    def close(self) -> None:
        """Close the file."""
        self._held = None
        self._file.close(force=True)  # closes also a file object that aemon opened
