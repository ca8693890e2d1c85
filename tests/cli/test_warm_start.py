"""A command in a warm process is the program: nothing of it is another than in a real start."""

import pytest

from tests.processes import aemon
from tests.warm_start import aemon_warm


@pytest.mark.parametrize(
    "command",
    [
        ("--version",),
        ("check",),
        ("train", "nobody"),
        ("no-such-command",),
        ("anomalies", "--json"),
    ],
)
def test_it_ends_as_the_program_does(folder, command):
    real, warm = aemon(*command, cwd=folder, check=False), aemon_warm(*command, cwd=folder)
    assert (warm.returncode, warm.stdout, warm.stderr) == (
        real.returncode,
        real.stdout,
        real.stderr,
    )


def test_each_has_its_own_folder_environment_and_end(folder, tmp_path, monkeypatch):
    aemon_warm("check", cwd=folder)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.setenv("COLUMNS", "70")
    done = aemon_warm("check", cwd=elsewhere)
    assert done.returncode != 0
    assert "aemon.yaml" in done.stderr
    assert max(map(len, aemon_warm("--help", cwd=elsewhere).stdout.splitlines())) <= 70
