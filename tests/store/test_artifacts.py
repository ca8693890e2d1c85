"""Artifacts: arrays and JSON, exact, hashed, readable across versions."""

import numpy as np
import pytest

from aemon.errors import ArtifactError
from aemon.store import artifacts


def packed(**changes) -> bytes:
    arrays = {"b": np.arange(6, dtype=np.float32).reshape(2, 3), "a": np.array([1.5])}
    return artifacts.pack(arrays, {"columns": ["flow"], "value": 0.1, **changes})


def test_what_went_in_comes_out():
    content = packed()
    arrays, metadata = artifacts.unpack(content, artifacts.digest(content))
    assert arrays["b"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert arrays["b"].dtype == np.float32
    assert metadata == {"columns": ["flow"], "value": 0.1}


def test_the_same_content_gives_the_same_bytes():
    assert packed() == packed()


def test_an_array_with_gaps_in_memory_is_packed_whole():
    array = np.arange(12.0).reshape(3, 4)[:, ::2]
    content = artifacts.pack({"a": array}, {})
    arrays, _ = artifacts.unpack(content, artifacts.digest(content))
    assert arrays["a"].tolist() == array.tolist()


def test_one_flipped_bit_is_noticed():
    content = bytearray(packed())
    digest = artifacts.digest(bytes(content))
    content[-1] ^= 1
    with pytest.raises(ArtifactError, match="was changed after it was stored"):
        artifacts.unpack(bytes(content), digest)


@pytest.mark.parametrize("content", [b"", b"short", b"\x80" * 64])
def test_what_is_no_artifact_is_refused_with_what_to_do(content):
    with pytest.raises(ArtifactError, match="train again"):
        artifacts.unpack(content, artifacts.digest(content))


@pytest.mark.parametrize(
    ("written", "told"),
    [(3, "has format 3, this aemon reads 2"), (1, "has format 1 of an earlier aemon")],
)
def test_another_format_is_refused_by_name(monkeypatch, written, told):
    monkeypatch.setattr(artifacts, "FORMAT_VERSION", written)
    content = packed()
    monkeypatch.undo()
    with pytest.raises(ArtifactError, match=told):
        artifacts.unpack(content, artifacts.digest(content))
