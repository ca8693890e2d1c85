"""The public data sets, cut as ../shared/data/README.md says."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from aemon.frame import Frame

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
TABLES = tuple(sorted(path.stem for path in (DATA / "adbench").glob("*.npz")))
MOST_TRAIN, MOST_NORMAL, MOST_ANOMALIES = 8000, 8000, 4000

AI4I_CAUSES = {
    "HDF": ("Air temperature [K]", "Process temperature [K]", "Rotational speed [rpm]"),
    "PWF": ("Torque [Nm]", "Rotational speed [rpm]"),
    "OSF": ("Tool wear [min]", "Torque [Nm]"),
}


class Split(NamedTuple):
    """Records to learn from, records to judge, and which of those are anomalies."""

    train: pd.DataFrame
    judged: pd.DataFrame
    labels: np.ndarray


class Stretch(NamedTuple):
    """A labelled stretch of a series: its records and the guilty columns, both from 0."""

    rows: slice
    columns: list[int]


def frame_of(values: pd.DataFrame | np.ndarray) -> Frame:
    table = pd.DataFrame(values)
    n = len(table)
    return Frame(
        times=np.datetime64("2026-01-01", "us") + np.arange(n).astype("timedelta64[s]"),
        keys=np.arange(n).astype(str).astype(object),
        entities=np.full(n, "", dtype=object),
        values=table.rename(columns=str).reset_index(drop=True),
    )


def table(name: str, seed: int) -> Split:
    """One of `TABLES`, all numbers."""
    data = np.load(DATA / "adbench" / f"{name}.npz")
    return cut(pd.DataFrame(data["X"].astype(float)).add_prefix("c"), data["y"] == 1, seed)


def bank(seed: int) -> Split:
    """Bank marketing: ten categorical columns."""
    values = pd.read_csv(DATA / "bank" / "bank-marketing-nominal.csv.gz")
    labels = values.pop("y").astype(str).str.strip("b'") == "yes"
    return cut(values, labels.to_numpy(), seed)


def ai4i(seed: int) -> Split:
    """The milling machine: five numbers and a category."""
    values, labels, _ = ai4i_records()
    return cut(values, labels, seed)


def ai4i_records() -> tuple[pd.DataFrame, np.ndarray, pd.DataFrame]:
    """All records, whether each failed, and by which cause."""
    data = pd.read_csv(DATA / "ai4i2020" / "ai4i2020.csv")
    causes = data[["TWF", "HDF", "PWF", "OSF", "RNF"]] == 1
    return data.iloc[:, 2:8], (data["Machine failure"] == 1).to_numpy(), causes


def cut(values: pd.DataFrame, labels: np.ndarray, seed: int) -> Split:
    """Half of the normal records train; the others and all anomalies are judged."""
    rng = np.random.default_rng(seed)
    normal = rng.permutation(np.flatnonzero(~labels))
    anomalies = rng.permutation(np.flatnonzero(labels))[:MOST_ANOMALIES]
    half = len(normal) // 2
    judged = np.concatenate([normal[half:][:MOST_NORMAL], anomalies])
    return Split(values.iloc[normal[:half][:MOST_TRAIN]], values.iloc[judged], labels[judged])


def one_hot(split: Split) -> tuple[np.ndarray, np.ndarray]:
    """Train and judged records as numbers, one column a category."""
    both = pd.get_dummies(pd.concat([split.train, split.judged]), dtype=float).to_numpy()
    return both[: len(split.train)], both[len(split.train) :]


def scaled(train: np.ndarray, judged: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both by the mean and spread of the former."""
    spread = train.std(axis=0)
    spread[spread == 0] = 1
    return (train - train.mean(axis=0)) / spread, (judged - train.mean(axis=0)) / spread


def series(folder: str) -> Iterator[tuple[str, np.ndarray, np.ndarray, np.ndarray]]:
    """Name, train, test and labels of each series of `smd` or `asd`."""
    for path in sorted((DATA / folder).glob("*.npz")):
        data = np.load(path)
        yield path.stem, data["train"].astype(float), data["test"].astype(float), data["label"]


def univariate() -> Iterator[tuple[str, np.ndarray, np.ndarray, np.ndarray]]:
    """The same of NAB: each value beside the three before it and its change; 15 % train."""
    windows = json.loads((DATA / "nab" / "windows.json").read_text())
    for path in sorted((DATA / "nab").rglob("*.csv")):
        table = pd.read_csv(path, parse_dates=["timestamp"])
        times, value = table["timestamp"], table["value"].astype(float)
        labels = np.zeros(len(table), dtype=bool)
        for first, last in windows[f"{path.parent.name}/{path.name}"]:
            labels |= times.between(pd.Timestamp(first), pd.Timestamp(last)).to_numpy()
        lags = [value.shift(k).bfill() for k in range(4)]
        records = np.column_stack([*lags, value.diff().fillna(0.0)])
        train = int(0.15 * len(records))
        yield path.stem, records[:train], records[train:], labels[train:]


def stretches(folder: str, name: str) -> list[Stretch]:
    """The labelled stretches of a series."""
    found = []
    for line in (DATA / folder / f"{name}.causes.txt").read_text().split():
        rows, columns = line.split(":")
        first, last = map(int, rows.split("-"))
        guilty = [int(column) - 1 for column in columns.split(",")]
        found.append(Stretch(slice(first - 1, last), guilty))
    return found
