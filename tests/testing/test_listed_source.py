"""The listed source passes the contract of replayable sources."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from aemon.frame import Roles
from aemon.testing.listed_source import ListedSource
from aemon.testing.replayable_contract import ReplayableContract
from aemon.testing.source_worlds import World, moment


class ListedWorld(World):
    """Records in memory."""

    def __init__(self, folder: Path) -> None:
        table = pd.DataFrame({"ts": pd.Series(dtype=object), "id": pd.Series(dtype=object)})
        self.source = ListedSource(
            table.assign(flow=pd.Series(dtype=float)), Roles(time="ts", key="id")
        )

    def add(self, seconds: Sequence[int]) -> list[str]:
        first = len(self.source.table)
        keys = [str(first + place) for place in range(len(seconds))]
        times = [moment(second) for second in seconds]
        self.source.add(pd.DataFrame({"ts": times, "id": keys, "flow": [1.0] * len(keys)}))
        return keys


class TestListedSource(ReplayableContract):
    make_world = ListedWorld
