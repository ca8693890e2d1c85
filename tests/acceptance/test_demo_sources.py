"""The demo through a real broker and a real Prometheus, ended by Ctrl-C once a fault is flagged."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pytest

from aemon.demo.plant_database import read_planted_faults
from aemon.demo.score_card import TIME_TO_BE_SEEN, FlaggedMoment
from tests.lacking import needs_program
from tests.processes import ended

pytestmark = pytest.mark.acceptance
MOST_SECONDS = 200  # on a busy machine; an idle one takes half a minute
SBIN = f"{os.environ['PATH']}:/usr/sbin"  # where Debian has mosquitto


@pytest.mark.parametrize(
    ("source", "program"), [("mqtt", "mosquitto"), ("prometheus", "prometheus")]
)
def test_a_planted_fault_is_flagged_through_a_server_that_ends_with_the_demo(
    tmp_path, source, program
):
    if shutil.which(program, path=SBIN) is None:
        needs_program(program, program)
    command = [sys.executable, "-m", "aemon", "demo", "--source", source, "--json"]
    with (
        (tmp_path / "screen").open("w") as screen,
        ended(subprocess.Popen(
            [*command, "--folder", str(tmp_path)], stdout=subprocess.PIPE, stderr=screen,
            text=True, env={**os.environ, "PATH": SBIN},
        )) as demo,
    ):  # fmt: skip
        deadline = time.monotonic() + MOST_SECONDS
        while not hits(tmp_path):
            assert demo.poll() is None, (tmp_path / "screen").read_text()
            assert time.monotonic() < deadline, (tmp_path / "screen").read_text()
            time.sleep(0.25)
        (reason,) = hits(tmp_path)[:1]
        (server,) = processes_of(tmp_path / program)
        demo.send_signal(signal.SIGINT)
        result = json.loads(demo.communicate(timeout=60)[0])
        assert demo.returncode == 0
    # The first fault is flagged, with the column that is stuck as the reason
    first = result["faults"][0]
    assert (first["kind"], first["columns"]) == ("stuck sensor", ["flow"])
    assert first["records_flagged"] >= 1
    assert "flow" in reason
    assert result["false_alarm_share"] < 0.01
    assert not runs(server)
    assert "error" not in (tmp_path / "daemon.log").read_text().lower()


def hits(folder: Path) -> list[str]:
    """Return the reasons of the records that are flagged for a planted fault that counts already."""
    try:
        faults = read_planted_faults(folder / "plant.db")
        with closing(sqlite3.connect(folder / "aemon.db")) as store:
            flagged = store.execute(
                "SELECT entity, event_time, reason FROM flagged_records WHERE monitor = 'pumps' "
                "ORDER BY event_time"
            ).fetchall()
            (newest,) = store.execute(
                "SELECT max(event_time) FROM scores WHERE monitor = 'pumps'"
            ).fetchone()
    except sqlite3.Error:  # not made yet
        return []
    moments = [
        (FlaggedMoment(pump=pump, event_time=datetime.fromisoformat(f"{time}+00:00")), reason)
        for pump, time, reason in flagged
    ]
    judged_until = datetime.fromisoformat(f"{newest}+00:00") if newest else None
    counted = [
        fault
        for fault in faults
        if judged_until is not None and fault.started_at + TIME_TO_BE_SEEN <= judged_until
    ]
    return [reason for at, reason in moments if any(fault.covers(at) for fault in counted)]


def processes_of(folder: Path) -> list[int]:
    """Return the processes whose command names a folder."""
    found = []
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = command.read_bytes().decode().split("\0")
        except OSError:
            continue
        if any(f"{folder}/" in word for word in words):
            found.append(int(command.parent.name))
    return found


def runs(process_id: int) -> bool:
    return Path(f"/proc/{process_id}").exists()
