"""Random CSV files, read as Python's own reader reads them; in pieces, as at once."""

import codecs
import csv
import io
import random

import pandas as pd
import pytest

from aemon.errors import SourceConfigError
from tests.sources.csv.csv_worlds import BEGIN, opened

FILES = 1000
IN_PIECES = 8  # of so many files one is also read in pieces
WORDS = ["on", "off", "rüber", "a, b", "a; b", 'say "no"', "tab\there", "# 7", "x|y", "two\nlines",
         "a\n\nb", "-", "1,5", "ende\n"]  # fmt: skip
ENCODINGS = ["utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"]
_MARKS = {"utf-16-be": codecs.BOM_UTF16_BE}


class RandomFile:
    """Some records, and the bytes of a file that holds them."""

    def __init__(self, seed: int) -> None:
        self.random = pick = random.Random(seed)
        self.separator = pick.choice(",,;\t|")
        self.end = pick.choice(["\n", "\n", "\r\n", "\r"])
        self.encoding = pick.choice(ENCODINGS)
        self.quoting = pick.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC])
        self.kinds = {"ts": "time"} | {
            f"{pick.choice('fgh')}{n}": pick.choice(["number", "word"]) for n in range(1, 5)
        }
        self.names = list(self.kinds)[: pick.randint(2, 5)]
        self.rows = [self._row(n) for n in range(pick.randint(0, 12))]
        self.text = self._text()

    def _row(self, number: int) -> dict[str, str]:
        values = {
            "time": lambda: f"{BEGIN.replace(minute=number).isoformat()}",
            "number": lambda: self.random.choice(["", "7", "-0.25", "1e3", "20.5", "1234567"]),
            "word": lambda: self.random.choice(["", *WORDS]),
        }
        return {name: values[self.kinds[name]]() for name in self.names}

    def _text(self) -> str:
        out = io.StringIO(newline="")
        writer = csv.writer(
            out, delimiter=self.separator, lineterminator="\n", quoting=self.quoting
        )
        names = self.names
        writer.writerow(names)
        for row in self.rows:
            if self.random.random() < 0.1:
                out.write(self.random.choice(["\n", "  \n"]))
            if self.random.random() < 0.1:
                names = self.random.sample(names, len(names))
                writer.writerow(names)
            writer.writerow([row[name] for name in names])
        text = out.getvalue()
        if self.rows and self.random.random() < 0.2:  # the last record is still being written
            self.rows.pop()
            text = text[:-1]
        return text.replace("\n", self.end)

    @property
    def bytes(self) -> bytes:
        return _MARKS.get(self.encoding, b"") + self.text.encode(self.encoding)

    @property
    def expected(self) -> list[tuple[str | float | None, ...]]:
        """What Python's own reader makes of the text, each value under its name."""
        names, found = self.names, []
        lines = csv.reader(io.StringIO(self.text, newline=""), delimiter=self.separator)
        for fields in lines:
            if not "".join(fields).strip():
                continue
            if "ts" in fields:
                names = fields
                continue
            found.append(dict(zip(names, fields, strict=False)))
        return [
            tuple(self._value(name, row[name]) for name in self.names)
            for row in found[: len(self.rows)]
        ]

    def _value(self, name: str, text: object) -> str | float | None:
        if pd.isna(text) or text == "":
            return None
        if self.kinds[name] == "number":
            return float(text)
        return str(text).replace("\r\n", "\n").replace("\r", "\n")

    def read(self, table: pd.DataFrame) -> list[tuple[str | float | None, ...]]:
        return [
            tuple(self._value(name, value) for name, value in zip(self.names, row, strict=True))
            for row in table.reindex(columns=self.names).itertuples(index=False)
        ]


@pytest.mark.parametrize("batch", range(10))
def test_random_files_are_read_as_pythons_own_reader_reads_them(tmp_path, batch):
    for seed in range(batch, FILES, 10):
        made = RandomFile(seed)
        file = tmp_path / f"{seed}.csv"
        file.write_bytes(made.bytes)
        table = opened(file, separator=made.separator).fetch(None, 100).table
        assert made.read(table) == made.expected, f"file {seed}"
        assert len(made.expected) == len(made.rows)
        if seed // 10 % IN_PIECES == 0:
            check_pieces(made, tmp_path / f"pieces-{seed}.csv")


def check_pieces(made: RandomFile, file) -> None:
    source = opened(file, separator=made.separator)
    cuts = sorted(made.random.sample(range(len(made.bytes) + 1), 3))
    mark, found, keys = None, [], []
    for begin, end in zip([0, *cuts], [*cuts, len(made.bytes)], strict=True):
        with file.open("ab") as stream:
            stream.write(made.bytes[begin:end])
        try:
            fetched = source.fetch(mark, made.random.choice([1, 2, 100]))
            while len(fetched.table):
                mark = fetched.watermark
                found += made.read(fetched.table)
                keys += fetched.table["file:line"].tolist()
                fetched = source.fetch(mark, 3)
        except SourceConfigError:  # its header is not whole
            assert not found
    assert found == made.expected, file.name
    whole = opened(file, separator=made.separator).fetch(None, 100).table
    assert keys == whole["file:line"].tolist()
