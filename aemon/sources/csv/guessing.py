"""A first configuration for CSV files, guessed from the first lines of one file."""

import csv
from collections import Counter
from io import StringIO

import pandas as pd

from aemon.errors import SourceConfigError
from aemon.sources.csv.encoding import HEAD_BYTES, as_utf8, find_encoding, raw_lines
from aemon.sources.csv.files import find_files
from aemon.sources.csv.packing import open_plain
from aemon.sources.file_systems.opening import FilePath
from aemon.sources.guesses import SAMPLE, Guesses, guess_of_files

_SEPARATORS = (",", ";", "\t", "|")
_LOOKED_AT = 200  # lines that show the separator and the header


def guess_files(path: FilePath) -> Guesses:
    """Return the guessed monitor for a file, a folder or a pattern.

    Raises:
        SourceError: there is no file, or the first file cannot be read.
        SourceConfigError: the first file is not a table with a column of times.
    """
    files = find_files(path)
    first = next(iter(files.read.values()))
    lines = _first_lines(first)
    separator, header = _table_in(lines, first)
    sample = _sample(lines[header:], separator)
    keys = {"kind": "csv"} | ({"separator": separator} if separator != "," else {})
    also = "; if each file holds one measurement, write join: time"
    return guess_of_files(path, list(files.read.values()), sample, keys, also=also)


def _first_lines(path: FilePath) -> list[str]:
    with open_plain(path) as (file, _):
        encoding = find_encoding(file.read(HEAD_BYTES), None)
        file.seek(0)
        found = []
        for raw, _end in raw_lines(file, encoding):
            found.append(as_utf8(raw, encoding)[0].decode(errors="replace").rstrip("\r\n"))
            if len(found) > SAMPLE + _LOOKED_AT:
                break
    return found


def _table_in(lines: list[str], path: FilePath) -> tuple[str, int]:
    """Return the separator, and the index of the line with the column names.

    Raises:
        SourceConfigError: no separator divides the lines into fields.
    """
    best: tuple[int, str, int] | None = None
    for separator in _SEPARATORS:
        rows = [next(csv.reader([line], delimiter=separator), []) for line in lines[:_LOOKED_AT]]
        widths = Counter(len(row) for row in rows if len(row) > 1)
        if not widths:
            continue
        width, count = widths.most_common(1)[0]
        place = next(place for place, row in enumerate(rows) if len(row) == width)
        if best is None or count * width > best[0]:
            best = count * width, separator, place
    if best is None:
        raise SourceConfigError(
            f"{path}: none of , ; | and tab separates its fields",
            todo="write the source by hand: `aemon init` shows all keys, such as separator: blanks",
        )
    return best[1], best[2]


def _sample(lines: list[str], separator: str) -> pd.DataFrame:
    text = "\n".join(lines[: SAMPLE + 1])
    return pd.read_csv(
        StringIO(text), sep=separator, on_bad_lines="skip", skipinitialspace=True, low_memory=False
    ).rename(columns=lambda name: str(name).strip().lstrip("# "))
