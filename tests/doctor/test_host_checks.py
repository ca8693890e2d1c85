"""The doctor's looks at the configuration file on its host."""

import pytest

from aemon.config.loading import load_config
from aemon.config.schema import Config
from aemon.doctor.finding import Level
from aemon.doctor.host_checks import http_port, memory, secrets

URL = "url: https://hooks.example/services/s3cret"


@pytest.mark.parametrize(
    ("more", "level"),
    [
        (f"notify: {{chat: {{kind: slack, {URL}}}}}", Level.WARNING),
        (f"notify: {{x: {{kind: webhook, {URL}, bearer_token: s3cr3t}}}}", Level.WARNING),
        (f"notify: {{x: {{kind: webhook, {URL}, headers: {{X-Api-Key: s3cr3t}}}}}}", Level.WARNING),
        ("http: {client: {token: s3cr3t}}", Level.WARNING),
        (f"notify: {{x: {{kind: webhook, {URL}, headers: {{X-Team: plant}}}}}}", Level.OK),
        (f"notify: {{x: {{kind: webhook, {URL}, bearer_token: '${{file:token}}'}}}}", Level.OK),
    ],
)
def test_what_is_shown_to_others_is_a_secret_like_any_password(tmp_path, more, level):
    (tmp_path / "token").write_text("s3cr3t")
    path = tmp_path / "aemon.yaml"
    path.write_text(f"{more}\nmonitors: {{here: {{source: {{kind: host}}, score_every: 1m}}}}\n")
    path.chmod(0o644)
    found = secrets(load_config(path), path)
    assert found.level is level
    assert "s3cr" not in repr(found)
    path.chmod(0o600)
    assert secrets(load_config(path), path).level is Level.OK


@pytest.mark.parametrize(
    ("more", "level"),
    [
        ("bearer_token: s3cr3t", Level.WARNING),
        ("basic_auth: {username: aemon, password: s3cr3t}", Level.WARNING),
        ("headers: {X-Api-Key: s3cr3t}", Level.WARNING),
        ("headers: {X-Scope-OrgID: plant}", Level.OK),
        ("bearer_token: '${file:token}'", Level.OK),
    ],
)
def test_what_is_shown_to_a_source_is_a_secret_too(tmp_path, more, level):
    (tmp_path / "token").write_text("s3cr3t")
    path = tmp_path / "aemon.yaml"
    source = f"{{kind: prometheus, url: 'http://x', queries: {{m: m}}, {more}}}"
    path.write_text(f"monitors: {{here: {{source: {source}, score_every: 1m}}}}\n")
    path.chmod(0o644)
    assert secrets(load_config(path), path).level is level


def test_trainings_that_go_on_at_once_take_their_memory_together(tmp_path):
    def found(at_once, *limits):
        monitors = {
            f"m{number}": {
                "source": {"kind": "host"}, "score_every": "1m", "life": {"train_memory": limit},
            }
            for number, limit in enumerate(limits)
        }  # fmt: skip
        config = Config.model_validate({"trainings_at_once": at_once, "monitors": monitors})
        return memory(config, tmp_path)

    assert found(1, "100MB", "100MB").level is Level.OK
    one = found(1, "900000GB", "100000GB")
    assert one.what.startswith("a training may use up to 900000.0 GB; ")
    both = found(2, "900000GB", "1GB", "100000GB")
    assert both.what.startswith("2 trainings at once may use up to 1000000.0 GB; ")
    assert both.level is Level.WARNING


@pytest.mark.parametrize(
    ("web", "level"),
    [
        ("", Level.WARNING),
        (f"bearer_tokens: {{plant: 'sha256:{'0' * 64}'}}", Level.WARNING),
        (
            f"bearer_tokens: {{plant: 'sha256:{'0' * 64}'}}\npermissions: {{plant: [push]}}",
            Level.OK,
        ),
    ],
)
def test_a_monitor_to_which_nobody_may_push_is_told(tmp_path, web, level):
    (tmp_path / "web.yml").write_text(web)
    path = tmp_path / "aemon.yaml"
    named = f"http: {{web_config: {tmp_path}/web.yml}}\n" if web else ""
    path.write_text(f"{named}monitors: {{here: {{source: {{kind: push}}, score_every: 1m}}}}\n")
    found = http_port(load_config(path), path)
    assert found.level is level
    assert level is Level.OK or "no user or token may push records to here" in found.what
