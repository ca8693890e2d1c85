"""The OpenAPI document says what the API does, also when it is asked strange things."""

import json
from collections import Counter
from contextlib import suppress
from datetime import timedelta
from itertools import product

import pytest
import schemathesis
import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from aemon.config.web_settings import WebSettings
from aemon.operations.snoozing import snooze_anomalies
from aemon.store.schema.tables import episodes
from aemon.web.access import _access
from aemon.web.api.application import api_routes
from aemon.web.app import guarded
from aemon.web.guard import Limits
from tests.made_results import MadeResults
from tests.web.api.made_episodes import episode
from tests.web_security import sha256

EXAMPLES = 4  # of each path, method and mode: about eight seconds in all
TOKEN = {"Authorization": "Bearer a token of tests"}
CHECKS = [
    not_a_server_error, status_code_conformance, content_type_conformance,
    response_schema_conformance,
]  # fmt: skip


@pytest.fixture
def document(client):
    return client.get("/openapi.json").json()


def test_the_document_is_openapi_31_and_names_every_path(document):
    assert document["openapi"].startswith("3.1")
    assert document["servers"] == [{"url": "/api/v1"}]
    assert set(document["paths"]) == {
        "/audit", "/contributions", "/detectors", "/detectors/{monitor}/rollback",
        "/detectors/{monitor}/{version}", "/detectors/{monitor}/{version}/promotion", "/episodes",
        "/episodes/{number}", "/episodes/{number}/acknowledge", "/episodes/{number}/close",
        "/episodes/{number}/feedback", "/episodes/{number}/label", "/explanation", "/feedback",
        "/flagged", "/lanes/{monitor}", "/monitors", "/monitors/{name}", "/rejected", "/runs",
        "/scores", "/series/{monitor}", "/snoozes", "/snoozes/{number}", "/status",
    }  # fmt: skip
    for path, methods in document["paths"].items():
        for told in methods.values():
            assert told["summary"], path
            assert {"4XX", "5XX"} <= set(told["responses"]), path


def test_every_schema_that_is_named_is_there(document):
    text = json.dumps(document)
    named = {part.partition('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert named <= set(document["components"]["schemas"])


class Port:
    """The API as the daemon has it, under `/api/v1` and behind the guard; counts its answers."""

    def __init__(self, desk):
        kept = {
            "bearer_tokens": {"tests": sha256("a token of tests")},
            "permissions": {"tests": ["admin"]},
        }
        access = _access(WebSettings.model_validate(kept), None)
        self.app = guarded(
            api_routes(desk), lambda: access, limits=Limits(), refused=lambda _status: None
        )
        self.answered = Counter()

    async def __call__(self, scope, receive, send):
        async def counted(message):
            if message["type"] == "http.response.start":
                self.answered[message["status"]] += 1
            await send(message)

        await self.app(scope, receive, counted)


@pytest.fixture
def port(desk, store, clock, installation):
    """The port, with some results."""
    MadeResults(flagged=(3, 4)).save(store)
    with store.writing() as connection:
        connection.execute(sa.insert(episodes), [episode(clock(), n) for n in (1, 2, 3)])
        connection.execute(sa.text("UPDATE anomalies SET episode_id = 1"))
    snooze_anomalies(installation, "pumps", lasts=timedelta(hours=1))
    return Port(desk)


def test_strange_requests_are_answered_as_the_document_says(port):
    schema = schemathesis.openapi.from_asgi("/api/v1/openapi.json", port, headers=TOKEN)
    operations = [result.ok() for result in schema.get_all_operations()]
    assert len(operations) > 25

    def ask(case):
        case.call_and_validate(headers=TOKEN, checks=CHECKS)

    for operation, mode in product(operations, GenerationMode):
        asked = given(case=operation.as_strategy(generation_mode=mode))(ask)
        chosen = settings(
            max_examples=EXAMPLES, deadline=None, database=None, derandomize=True,
            phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        with suppress(Unsatisfiable):  # no request to `/status` is wrong
            chosen(asked)()
    assert port.answered.total() >= EXAMPLES * len(operations)
    assert {200, 404, 422} <= port.answered.keys()
    assert not {status for status in port.answered if status in (401, 403, 415) or status >= 500}
