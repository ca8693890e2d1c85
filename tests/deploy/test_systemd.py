"""The unit in a real systemd: ready, watched, reloaded, stopped and started again without loss."""

import re
import subprocess
import time

import pytest

from tests import readings
from tests.deploy.images import ROOT, need
from tests.deploy.machine import commands
from tests.plants import ask_sqlite

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(600)]
LEARNED = 200
UNIT = ROOT / "deploy" / "systemd" / "aemon.service"
PLANT, STORE = "/var/lib/aemon/plant.csv", "/var/lib/aemon/aemon.db"
CONFIG = f"""
store: sqlite:///{STORE}
reload_every: 1h
monitors:
  plant:
    source: {{kind: csv, path: {PLANT}, time: ts, key: id}}
    score_every: 200ms
    min_records: {LEARNED}
    chunk_records: 20
    threshold: {{false_alarm_rate: 0.01}}
"""
AT_ONCE = "[Service]\nRestartSec=100ms\n"


class Service:
    """The unit in a machine, with a plant of its own."""

    def __init__(self, machine) -> None:
        self.machine = machine
        self.count = 0

    def configure(self, text: str, drop_in: str = AT_ONCE) -> None:
        self.machine.write("/etc/aemon/aemon.yaml", text)
        self.machine.write("/etc/systemd/system/aemon.service.d/test.conf", drop_in)
        self.machine.run("systemctl", "daemon-reload")

    def add(self, count: int) -> None:
        """Records that come in."""
        lines = [",".join(map(str, row)) for row in readings.rows(count, first=self.count)]
        with (self.machine.files / PLANT.lstrip("/")).open("a") as file:
            if not self.count:
                file.write("id,ts,flow,pressure,current\n")
            file.write("".join(f"{line}\n" for line in lines))
        self.count += count

    def start(self) -> None:
        self.machine.run("systemctl", "start", "aemon")

    def signal(self, name: str) -> None:
        self.machine.run("systemctl", "kill", "--kill-who=main", f"--signal={name}", "aemon")

    def learned(self) -> None:
        """Start it with a detector; that is trained once a machine."""
        kept = self.machine.files / "root" / "learned"
        self.add(LEARNED)
        if kept.exists():
            self.machine.run("cp", "--archive", "/root/learned/aemon.db", STORE)
        self.start()
        self.machine.wait(lambda: self.ask("SELECT 1 FROM detectors"), "a detector")
        if not kept.exists():
            self.machine.run("systemctl", "stop", "aemon")
            self.machine.run("cp", "--archive", "/var/lib/aemon", "/root/learned")
            self.start()

    def ask(self, sql: str) -> list[tuple]:
        file = self.machine.files / STORE.lstrip("/")
        return ask_sqlite(file, sql) if file.exists() else []

    def judged(self) -> bool:
        """Whether all records are that came in after those it learned from."""
        found = self.ask("SELECT count(*) FROM scores")
        return found == [(self.count - LEARNED,)]


@pytest.fixture
def service(machine):
    machine.shell(
        "systemctl stop aemon; systemctl reset-failed aemon; journalctl --rotate --quiet;"
        " journalctl --quiet --vacuum-time=1us; rm -rf /var/lib/aemon/*"
    )
    service = Service(machine)
    service.configure(CONFIG)
    yield service
    machine.run("systemctl", "stop", "aemon")


def test_the_unit_is_one_that_systemd_understands_and_finds_hardened(tmp_path):
    need("systemd-analyze")
    # A program and a user that are here stand in for aemon's: the unit alone is looked at.
    unit = tmp_path / "aemon.service"
    unit.write_text(
        re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", UNIT.read_text(), flags=re.MULTILINE)
    )
    said = subprocess.run(
        ["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False
    )
    assert said.stdout + said.stderr == ""
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=30", str(UNIT)]
    judged = subprocess.run(command, capture_output=True, text=True, check=False)
    assert judged.returncode == 0, judged.stdout
    (level,) = re.findall(r"Overall exposure level for aemon.service: (\S+)", judged.stdout)
    assert f"exposure level is {level}" in " ".join(
        (ROOT / "deploy" / "README.md").read_text().split()
    )


def test_the_service_of_the_readme_watches_the_machine_it_is_on(service):
    """With the configuration that comes with it, but for the pauses: sandboxed, all is seen."""
    machine = service.machine
    text = (ROOT / "deploy" / "systemd" / "aemon.yaml").read_text()
    quick = text.replace("kind: host", "kind: host\n      sample_every: 100ms")
    service.configure(quick.replace("30s", "300ms\n    min_records: 60"))
    service.start()
    assert machine.show("ActiveState") == "active"
    machine.wait(lambda: machine.show("StatusText") == "1 monitor, 1 learning", "its status")
    *_, look = commands("systemd")
    shown, *_ = machine.shell(look.splitlines()[0] + " --no-pager").splitlines()
    assert "aemon.service - aemon, an anomaly-detection monitoring daemon" in shown
    # Trained in a worker, and judged
    machine.wait(lambda: service.ask("SELECT 1 FROM scores"), "scores")
    assert service.ask("SELECT max(imputed_share) FROM scores") == [(0.0,)], "no column is missing"
    # What it says is in the journal and nowhere else
    assert "started version=" in machine.journal()
    assert "train.ok" in machine.journal()
    assert machine.shell("find /var/log -name '*aemon*'") == ""
    # It is another's, and can do nothing else
    pid = machine.show("MainPID")
    status = machine.run("cat", f"/proc/{pid}/status")
    assert re.search(r"^CapBnd:\s+0+$", status, re.MULTILINE)
    assert re.search(r"^NoNewPrivs:\s+1$", status, re.MULTILINE)
    assert re.search(r"^Seccomp:\s+2$", status, re.MULTILINE)
    assert machine.run("stat", "--format=%U %G %a", STORE) == "aemon aemon 640\n"
    # And the other commands of the README find all in order
    doctor = machine.shell(look.splitlines()[-1])
    assert "error" not in doctor.lower(), doctor


def test_a_daemon_that_hangs_is_started_again(service):
    machine = service.machine
    service.configure(CONFIG, f"{AT_ONCE}WatchdogSec=3s\n")
    service.learned()
    first = machine.show("MainPID")
    # When it stands still
    service.signal("STOP")
    service.add(100)
    began = time.monotonic()
    machine.wait(lambda: machine.show("NRestarts") == "1", "it to be started again")
    print(f"started again {time.monotonic() - began:.1f} s after it hung, with WatchdogSec=3s")
    # Then another takes its place and goes on
    machine.wait(lambda: machine.show("ActiveState") == "active", "it to be ready")
    assert machine.show("MainPID") != first
    machine.wait(service.judged, "all to be judged")
    journal = machine.journal()
    assert "Watchdog timeout (limit 3s)!" in journal
    assert "Current thread" in journal, "it says where it was"


def test_a_killed_one_is_started_again_and_every_record_is_judged_once(service):
    machine = service.machine
    service.learned()
    for kills in range(1, 4):
        service.add(150)
        written = len(service.ask("SELECT 1 FROM scores"))
        machine.wait(lambda at=written: len(service.ask("SELECT 1 FROM scores")) > at, "a commit")
        service.signal("KILL")
        machine.wait(lambda n=kills: machine.show("NRestarts") == str(n), "it to be started again")
    service.add(50)
    machine.wait(lambda: service.judged() and machine.show("ActiveState") == "active", "the rest")
    keys = sorted(int(key) for (key,) in service.ask("SELECT record_key FROM scores"))
    assert keys == list(range(LEARNED, service.count))
    assert service.ask("SELECT count(*) FROM scores WHERE revision > 1") == [(0,)]
    assert machine.show("Result") == "success"


def test_it_stops_in_order_in_the_middle_of_a_training(service):
    machine = service.machine
    service.configure(
        CONFIG.replace("chunk_records", "detector: {steps: 50000}\n    chunk_records")
    )
    service.add(LEARNED)
    service.start()
    machine.wait(lambda: "train.started" in machine.journal(), "a training")
    time.sleep(1)
    began = time.monotonic()
    machine.run("systemctl", "stop", "aemon")
    seconds = time.monotonic() - began
    print(f"stopped {seconds:.1f} s after it was told to")
    assert seconds < 10
    assert [machine.show(x) for x in ("ActiveState", "Result", "ExecMainStatus")] == [
        "inactive", "success", "0",
    ]  # fmt: skip
    owners = machine.shell("stat --format=%U /proc/[0-9]* 2>&1 || true")
    assert "root" in owners
    assert "aemon" not in owners, "no worker is left"
    assert "stopped clean=True" in machine.journal()


def test_a_reload_takes_up_what_was_changed_and_refuses_what_is_wrong(service):
    machine = service.machine
    service.learned()
    pid = machine.show("MainPID")
    machine.write("/etc/aemon/aemon.yaml", CONFIG.replace("200ms", "100ms"))
    machine.run("systemctl", "reload", "aemon")
    machine.wait(lambda: "config.reloaded plant changed" in machine.journal(), "it to be taken up")
    machine.write("/etc/aemon/aemon.yaml", CONFIG.replace("score_every", "score_evry"))
    machine.run("systemctl", "reload", "aemon")
    machine.wait(lambda: "config.refused" in machine.journal(), "it to be refused")
    assert "aemon.yaml:7: monitors.plant.score_evry" in machine.journal()
    machine.wait(lambda: machine.show("ActiveState") == "active", "the reload to be over")
    assert machine.show("MainPID") == pid
    service.add(20)
    machine.wait(service.judged, "it to go on")


def test_a_wrong_configuration_is_told_once_and_a_store_that_is_away_is_waited_for(service):
    machine = service.machine
    # A mistake is a person's to mend
    service.configure(CONFIG.replace("200ms", "often"))
    assert "failed" in machine.run("systemctl", "start", "aemon", check=False)
    time.sleep(0.5)
    assert [machine.show(x) for x in ("ActiveState", "NRestarts", "ExecMainStatus")] == [
        "failed", "0", "3",
    ]  # fmt: skip
    assert "/etc/aemon/aemon.yaml:7: monitors.plant.score_every" in machine.journal()
    # A password of root's own reaches the daemon, and a store that does not answer is tried again
    machine.write("/root/secret", "s3cret")
    credential = f"{AT_ONCE}LoadCredential=postgres:/root/secret\n"
    secret = "${file:/run/credentials/aemon.service/postgres}"
    store = f"store: postgresql://aemon:{secret}@127.0.0.1:1/aemon"
    service.configure(CONFIG.replace(f"store: sqlite:///{STORE}", store), credential)
    machine.run("systemctl", "start", "--no-block", "aemon")
    machine.wait(lambda: int(machine.show("NRestarts")) >= 2, "it to be tried again")
    assert "s3cret" not in machine.journal()
    assert "127.0.0.1:1" in machine.journal()
    # Until it is there
    service.configure(CONFIG)
    machine.wait(lambda: machine.show("ActiveState") == "active", "it to be ready")


def test_the_runbooks_backup_restore_and_upgrade_lose_nothing(service):
    machine = service.machine
    service.learned()
    service.add(100)
    machine.wait(service.judged, "all to be judged")
    backup, restore = commands("Backups")
    machine.shell(backup)
    service.add(50)
    machine.wait(service.judged, "what came after")
    # Restored, it goes on from where the backup was
    machine.shell(restore)
    machine.wait(service.judged, "all to be judged again")
    assert service.ask("SELECT count(*) FROM scores WHERE revision > 1") == [(0,)]
    # And an upgrade to what it is already changes nothing
    upgrade, *_others = commands("Upgrades")
    installed, *rest = upgrade.splitlines()
    assert installed in commands("systemd")[0], "the installation's own"
    assert "the tables are as expected" in machine.shell("\n".join(rest))
    machine.wait(lambda: machine.show("ActiveState") == "active", "it to be ready")
    service.add(20)
    machine.wait(service.judged, "it to go on")
