"""Programs push to a real daemon, which is killed meanwhile; a fault is flagged."""

import http.client
import json
import threading
import urllib.request

import pytest

from tests import readings
from tests.processes import Daemon
from tests.readings import LEARNED
from tests.web_security import PUSH_TOKEN, sha256

pytestmark = pytest.mark.acceptance
WEB = f"bearer_tokens: {{plant: '{sha256(PUSH_TOKEN)}'}}\npermissions: {{plant: [push, read]}}\n"
PUMPS = f"""
  pumps:
    source: {{kind: push, time: ts, key: id}}
    score_every: 2s
    min_records: {LEARNED}
    detector: {{steps: 200, members: 1}}
    threshold: {{false_alarm_rate: 0.001}}
"""
COUNTED = """
  counted:
    source: {kind: push, time: null}
    score_every: 1h
    min_records: 50000
"""
LEASE = "replicas: {lease: 2s}"


def push(daemon, monitor, lines, key=None):
    headers = {"Authorization": f"Bearer {PUSH_TOKEN}", "Content-Type": "application/jsonl"}
    request = urllib.request.Request(
        f"http://127.0.0.1:{daemon.port}/api/v1/records/{monitor}",
        "\n".join(lines).encode(),
        headers | ({"Idempotency-Key": key} if key else {}),
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        assert answer.status == 202
        return json.load(answer)


def lines_of(rows):
    names = ("id", "ts", "flow", "pressure", "current")
    return [json.dumps(dict(zip(names, row, strict=True))) for row in rows]


@pytest.fixture
def web(tmp_path):
    (tmp_path / "web.yml").write_text(WEB)
    return "web_config: web.yml"


class Retrying(threading.Thread):
    """Pushes batches of ten, each until it is answered."""

    def __init__(self, daemon):
        super().__init__(daemon=True)
        self.daemon_ = daemon
        self.over = threading.Event()
        self.batches = self.retried = 0
        self.last = None

    def run(self):
        while not self.over.is_set():
            first = 10 * self.batches
            lines = [json.dumps({"n": number}) for number in range(first, first + 10)]
            try:
                push(self.daemon_, "counted", lines, f"batch-{self.batches}")
            except (OSError, http.client.HTTPException) as error:
                self.last = error
                self.retried += 1
                self.over.wait(0.05)
            else:
                self.batches += 1


def test_a_batch_that_is_sent_until_it_is_answered_is_kept_once(tmp_path, web):
    with Daemon(tmp_path, COUNTED, http=web, settings=LEASE) as daemon:
        pushing = Retrying(daemon)
        pushing.start()
        for _ in range(2):
            before = pushing.batches
            daemon.wait(lambda before=before: pushing.batches > before + 20, "batches", 40)
            daemon.kill()
            daemon.start()
        before = pushing.batches
        daemon.wait(lambda: pushing.batches > before + 5, "batches")
        pushing.over.set()
        pushing.join()
        found = daemon.query("SELECT record FROM history ORDER BY id")
        assert [json.loads(one)["n"] for (one,) in found] == list(range(10 * pushing.batches))
        assert pushing.retried
        daemon.stop()


def test_a_fault_that_is_pushed_is_flagged_within_two_runs(tmp_path, web):
    def runs():
        return daemon.query("SELECT count(*) FROM runs WHERE job = 'score' AND outcome = 'ok'")[0][
            0
        ]

    with Daemon(tmp_path, PUMPS, http=web) as daemon:
        rows = list(readings.rows(LEARNED + 20))
        push(daemon, "pumps", lines_of(rows))
        daemon.wait(lambda: daemon.query("SELECT 1 FROM scores") != [], "a detector")
        before = runs()
        *_, (number, ts, flow, pressure, _) = readings.rows(LEARNED + 21)
        push(daemon, "pumps", lines_of([(number, ts, flow, pressure, 9.0)]))
        flagged = f"SELECT reason FROM anomalies WHERE record_key = '{number}'"
        daemon.wait(lambda: daemon.query(flagged) != [], "the fault to be flagged", every=0.05)
        assert runs() - before <= 2
        assert "current 9" in daemon.query(flagged)[0][0]
        daemon.stop()
