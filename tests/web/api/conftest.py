"""The API on a store of either kind, as a client meets it behind the guard."""

import pytest
from starlette.testclient import TestClient

from aemon.config.schema import Config
from aemon.operations.installation import Installation
from aemon.operations.status_report import DaemonState, Health, status_page
from aemon.web.access import load_access
from aemon.web.api.application import api_routes
from aemon.web.api.desk import Desk
from aemon.web.app import guarded
from aemon.web.guard import Limits

HEALTH = Health(started=True, alive=True, heartbeat_age_seconds=1.0)
ODD_NAMES = ("größe.2", "a_b-c", "泵")


def monitors_of(names):
    source = {"kind": "sql", "url": "sqlite:///x.db", "table": "t", "time": "ts", "key": "id"}
    return {name: {"source": source, "score_every": "1m"} for name in names}


@pytest.fixture
def installation(store, store_url, clock):
    config = Config.model_validate(
        {"store": store_url, "monitors": monitors_of(["pumps", *ODD_NAMES])}
    )
    store.add_monitors(config.monitors)
    return Installation(config, store, clock)


@pytest.fixture
def desk(installation):
    def status():
        state = DaemonState(
            started_at=installation.clock(), replica="here", replicas=1, held={"pumps"},
            wanted={}, health=HEALTH, config_refused="",
        )  # fmt: skip
        return status_page(installation, state)

    return Desk(lambda: installation, status)


@pytest.fixture
def client(desk):
    access = load_access(None)
    app = guarded(api_routes(desk), lambda: access, limits=Limits(), refused=lambda _: None)
    with TestClient(app, base_url="http://localhost/api/v1") as client:
        yield client
