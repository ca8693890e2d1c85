"""What every stream promises, kept by each of ours."""

import pytest

from aemon.testing.stream_contract import StreamContract
from tests.contract.worlds import STREAM_WORLDS


class TestStreams(StreamContract):
    @pytest.fixture(params=STREAM_WORLDS)
    def world(self, request, threads_before, tmp_path):
        world = STREAM_WORLDS[request.param](tmp_path)
        yield world
        world.close()
