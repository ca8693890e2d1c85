"""The image of the Dockerfile: small, nobody's, on a read-only root, and it does its work."""

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from tests import readings
from tests.deploy.container import Container
from tests.deploy.images import ROOT, need
from tests.deploy.machine import commands
from tests.plants import ask_sqlite
from tests.processes import free_port

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(600)]
LEARNED = 200
MOST_MEGABYTES = 850  # 778 measured, of which torch is 556


@pytest.fixture(scope="module")
def image(images) -> dict:
    """Its configuration."""
    need("runc")
    found = json.loads(images.buildah("inspect", "--type", "image", images.aemon()))
    config: dict = found["Docker"]["config"]
    return config


def test_its_recipe_has_nothing_to_find_fault_with():
    command = [str(Path(sys.executable).parent / "hadolint"), str(ROOT / "deploy" / "Dockerfile")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout + done.stderr == ""


def test_it_is_nobodys_and_small(image, aemon_files):
    assert image["User"] == "65532:65532"
    assert image["StopSignal"] == "SIGTERM"
    assert image["Labels"]["org.opencontainers.image.title"] == "aemon"
    ours, torch = (megabytes(aemon_files / "opt/aemon", part) for part in ("", "torch"))
    print(f"{ours} MB besides the base image, of which torch is {torch}")
    assert ours < MOST_MEGABYTES
    rights = ["find", str(aemon_files), "-xdev", "-uid", "65532", "!", "-path", "*/var/lib/aemon"]
    found = subprocess.run(rights, capture_output=True, text=True, check=True).stdout
    assert found == "", "nothing of the program is the daemon's to change"


def as_a_resource(rules: str) -> dict:
    """What the README's script makes of rules, with nothing but them in place of a cluster."""
    *_, script = commands("Kubernetes")
    ours = re.sub(r"kubectl .* aemon rules", "cat", script).rpartition(">")[0]
    command = ["sh", "-euc", ours]
    done = subprocess.run(command, input=rules, capture_output=True, text=True, check=True)
    found: dict = yaml.safe_load(done.stdout)
    return found


def megabytes(folder: Path, part: str) -> int:
    (where,) = [folder] if not part else folder.glob(f"lib/python3*/site-packages/{part}")
    done = subprocess.run(["du", "-sB1000000", where], capture_output=True, text=True, check=True)
    return int(done.stdout.split()[0])


def test_the_demo_runs_in_it_and_finds_faults(image, aemon_files, tmp_path):
    command = ("demo", "--seconds", "60", "--json")
    with Container(image, aemon_files, tmp_path, command=command) as demo:
        demo.wait(lambda: demo.process.poll() is not None, "the demo to end", 100)
        assert demo.process.returncode == 0, demo.errors()
    result = json.loads(demo.output())
    assert result["planted"] >= 1
    assert result["missed"] == 0
    assert result["false_alarm_share"] < 0.01


def test_a_daemon_in_it_is_healthy_judges_and_stops_at_once(image, aemon_files, tmp_path):
    config, plant, port = tmp_path / "aemon.yaml", tmp_path / "plant", free_port()
    plant.mkdir(mode=0o755)
    table = readings.table(LEARNED + 100)
    table.to_csv(plant / "readings.csv", index=False)
    config.write_text(f"""
store: sqlite:///aemon.db
http: {{listen: 127.0.0.1:{port}}}
monitors:
  plant:
    source: {{kind: csv, path: /plant/readings.csv, time: ts, key: id}}
    score_every: 200ms
    min_records: {LEARNED}
""")
    (tmp_path / "bundle").mkdir()
    image["Env"].append(f"AEMON_HEALTH=http://127.0.0.1:{port}/healthz")
    shown = {config: "/etc/aemon/aemon.yaml", plant: "/plant"}
    with Container(image, aemon_files, tmp_path / "bundle", shown=shown) as daemon:
        store = daemon.state / "aemon.db"
        kind, *check = image["Healthcheck"]["Test"]
        assert kind == "CMD"
        daemon.wait(lambda: "started" in daemon.errors(), "the daemon")
        daemon.wait(lambda: daemon.run(*check, check=False).returncode == 0, "it to be healthy")
        # A training in a worker, then every record
        sql = "SELECT count(*) FROM scores"
        daemon.wait(lambda: store.exists() and ask_sqlite(store, sql) == [(100,)], "verdicts")
        # It runs as nobody, and cannot write but to its volume and /tmp
        assert daemon.run("id", "-u").stdout == "65532\n"
        assert store.stat().st_uid == 65532
        for folder in ("/", "/opt/aemon", "/etc/aemon", "/usr/bin"):
            refused = daemon.run("touch", f"{folder}/x", check=False)
            assert "Read-only file system" in refused.stderr, folder
        # Its commands know its configuration; Kubernetes takes the rules as the README says
        rules = daemon.run("aemon", "rules").stdout
        assert as_a_resource(rules)["spec"] == yaml.safe_load(rules)
        # When it stands still, it is not healthy
        daemon.signal("STOP")
        assert daemon.run(*check, check=False).returncode != 0
        daemon.signal("CONT")
        began = time.monotonic()
        daemon.signal("TERM")
        assert daemon.process.wait(30) == 0
        seconds = time.monotonic() - began
    print(f"gone {seconds:.1f} s after SIGTERM")
    assert seconds < 10
    assert "stopped clean=True" in daemon.errors()
