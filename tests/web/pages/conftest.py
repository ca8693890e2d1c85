"""The pages on a store of either kind, as a browser meets them behind the guard."""

import pytest
from starlette.testclient import TestClient

from aemon.config.schema import Config
from aemon.operations.installation import Installation
from aemon.operations.status_report import DaemonState, Health, status_page
from aemon.web.access import load_access
from aemon.web.app import guarded
from aemon.web.guard import Limits
from aemon.web.served_routes import served_routes
from tests.web_security import PASSWORD, bcrypted

HEALTH = Health(started=True, alive=True, heartbeat_age_seconds=1.0)
SOURCE = {"kind": "sql", "url": "sqlite:///x.db", "table": "t", "time": "ts", "key": "id"}


@pytest.fixture
def installation(store, store_url, clock):
    monitors = {name: {"source": SOURCE, "score_every": "1m"} for name in ("pumps", "fans")}
    config = Config.model_validate({"store": store_url, "monitors": monitors})
    store.add_monitors(config.monitors)
    return Installation(config, store, clock)


@pytest.fixture
def real_status(installation):
    def status():
        state = DaemonState(
            started_at=installation.clock(), replica="here", replicas=1, held={"pumps"},
            wanted={}, health=HEALTH, config_refused="",
        )  # fmt: skip
        return status_page(installation, state)

    return status


@pytest.fixture
def pages(installation, real_status, request):
    """Makes clients of the pages."""

    def made(status=None, access=None, diagnose=None):
        access = access or load_access(None)
        served = served_routes(lambda: installation, status or real_status, diagnose)
        app = guarded(served, lambda: access, limits=Limits(), refused=lambda _: None)
        client = TestClient(app, base_url="http://localhost")
        client.__enter__()
        request.addfinalizer(lambda: client.__exit__(None, None, None))
        return client

    return made


@pytest.fixture
def writers(tmp_path):
    """An access by which `ann` may write; others need credentials."""
    path = tmp_path / "web.yml"
    path.write_text(
        f'basic_auth_users: {{ann: "{bcrypted(PASSWORD)}", bob: "{bcrypted(PASSWORD)}"}}\n'
        "permissions: {ann: [read, feedback]}\n"
    )
    path.chmod(0o600)
    return load_access(path)
