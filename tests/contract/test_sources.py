"""What every replayable source promises, kept by each of ours."""

import pytest

from aemon.testing.replayable_contract import ReplayableContract
from tests.contract.worlds import WORLDS


class TestReplayable(ReplayableContract):
    @pytest.fixture(
        params=[
            pytest.param(name, marks=pytest.mark.postgresql if "postgresql" in name else ())
            for name in WORLDS
        ]
    )
    def world(self, request, tmp_path):
        world = WORLDS[request.param](request.getfixturevalue, tmp_path)
        yield world
        world.close()
