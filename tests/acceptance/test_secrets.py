"""Passwords in wrong places of a configuration are nowhere to be read: neither log nor page has them."""

from pathlib import Path

import pytest

from tests import readings
from tests.config.test_planted_secrets import SECRETS, WRONG
from tests.processes import Daemon, insert, make_table, sql_source

REFUSED = 'aemon_config_reloads_total{outcome="refused"}'
pytestmark = pytest.mark.acceptance


def test_a_refused_reload_tells_no_secret(tmp_path):
    make_table(tmp_path / "plant.db", "readings", ["ts TEXT", *readings.COLUMNS])
    insert(tmp_path / "plant.db", "readings", readings.rows(5))
    monitors = (
        f"  plant:\n    source: {sql_source(tmp_path / 'plant.db')}\n    score_every: 300ms\n"
    )
    with Daemon(tmp_path, monitors, settings="reload_every: 100ms") as daemon:
        for number, wrong in enumerate(WRONG[::6], 1):
            secret = SECRETS[number % len(SECRETS)]
            text = wrong.replace("{0}", secret).replace("{{", "{").replace("}}", "}")
            daemon.config.write_text(text)
            daemon.wait(lambda n=number: daemon.metric(REFUSED) >= n, f"refusal {number}", 20)
            pages = [daemon.get(path) or "" for path in ("/", "/status.json", "/metrics")]
            assert "aemon.yaml" in pages[1], "the refusal is not on the page"
            shown = [*pages, Path(f"/proc/{daemon.process.pid}/cmdline").read_text()]
            assert not [page for page in shown if secret in page], wrong
        daemon.stop()
    log = daemon.log.read_text()
    assert "config.refused" in log
    assert not [secret for secret in SECRETS if secret in log]
