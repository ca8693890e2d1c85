"""Receivers as people configure them: what is wrong is told with its key, and no secret is."""

import pytest

from aemon.config.loading import config_schema, load_config
from aemon.errors import ConfigError
from tests.config.test_json_schema import fits

CONFIG = """\
notify:
  ops: {NOTIFY}
monitors:
  pumps:
    source: {kind: host}
    score_every: 1m
"""
URL = "url: 'https://there.example/s3cret'"


def load(tmp_path, text):
    path = tmp_path / "aemon.yaml"
    path.write_text(CONFIG.replace("NOTIFY", text))
    return load_config(path, {})


def refusal(tmp_path, text) -> str:
    with pytest.raises(ConfigError) as raised:
        load(tmp_path, text)
    assert "s3cret" not in str(raised.value)
    return raised.value.message.removeprefix(f"{tmp_path}/aemon.yaml:2: notify.ops.")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f"kind: slak, {URL}", "kind: must be one of alertmanager, webhook, slack; did you mean slack?"),
        (f"kid: slack, {URL}", "kind: must be one of alertmanager, webhook, slack; did you mean kind where"),
        ("kind: slack", "url: missing; it must be given"),
        ("kind: slack, url: 'ftp://s3cret'", "url: is not a web address"),
        ("kind: slack, url: 'https://s3cret:70000'", "url: is not a web address"),
        ("kind: slack, url: 'https://a b.s3cret'", "url: is not a web address"),
        ("kind: slack, url: 'https://u:s3cret@h/'", "url: has a user or a password in it"),
        (f"kind: slack, {URL}, monitors: [pmps]", "monitors: there is no monitor 'pmps'"),
        (f"kind: slack, {URL}, severity: high", "severity: must be one of 'warning' or 'critical'"),
        (f'kind: slack, {URL}, headers: {{X-A: "s3cret\\nX-B"}}', "headers: a header must be one line"),
        (f"kind: slack, {URL}, headers: {{'X A': s3cret}}", "headers: a header's name may have letters"),
        (f"kind: slack, {URL}, bearer_token: s3cret, basic_auth: {{username: u, password: s3cret}}",
         "give either bearer_token or basic_auth"),
        (f"kind: slack, {URL}, body: x", "body: unknown key"),
        (f"kind: slack, {URL}, template: '{{{{ titel }}}}'", "template: 'titel' is undefined"),
        (f"kind: slack, {URL}, template: '{{{{ title '", "template: unexpected end of template"),
        (f"kind: slack, {URL}, template: '{{{{ title.__class__ }}}}'", "template: access to attribute"),
        (f"kind: slack, {URL}, template: '{{{{ 1 / 0 }}}}'", "template: ZeroDivisionError"),
        (f"kind: slack, {URL}, template: '{{{{ columns[7].told }}}}'", "template: list object has no"),
        (f"kind: slack, {URL}, template: '{{{{ title * 9999 }}}}'", "template: becomes"),
        (f"kind: slack, {URL}, template: '{{% macro m() %}}{{{{ m() }}}}{{% endmacro %}}{{{{ m() }}}}'",
         "template: never ends: a macro calls itself"),
        (f"kind: webhook, {URL}, body: '{{{{ title }}}}'", "body: does not give valid JSON"),
        (f"kind: webhook, {URL}, body: '{{% if event == \"resolved\" %}}x{{% else %}}1{{% endif %}}'",
         "body: does not give valid JSON"),
        (f"kind: alertmanager, {URL}, labels: {{severity: page}}", "labels: severity is set by aemon"),
        (f"kind: alertmanager, {URL}, labels: {{a-b: page}}", "labels: 'a-b': a label's name may have"),
        (f"kind: alertmanager, {URL}, resolved: false", "resolved: unknown key"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_key(tmp_path, text, told):
    assert told in refusal(tmp_path, text).replace("\n", " ")


def test_a_name_is_plain(tmp_path):
    (tmp_path / "aemon.yaml").write_text(
        CONFIG.replace("ops", "'o/ps'").replace("NOTIFY", f"kind: slack, {URL}")
    )
    with pytest.raises(ConfigError, match="a receiver's name may have letters"):
        load_config(tmp_path / "aemon.yaml", {})


def test_secrets_are_not_shown(tmp_path):
    more = "headers: {X-A: s3cret}, basic_auth: {username: u, password: s3cret}"
    config = load(tmp_path, f"kind: slack, {URL}, {more}")
    assert "s3cret" not in repr(config)
    assert "s3cret" not in config.model_dump_json()


def test_a_template_can_be_a_file(tmp_path):
    (tmp_path / "message.j2").write_text("{{ title }}\n${kept}")
    receiver = load(tmp_path, f"kind: slack, {URL}, template: '${{file:message.j2}}'").notify["ops"]
    assert receiver.template == "{{ title }}\n${kept}"


@pytest.mark.parametrize("kind", ["alertmanager", "webhook", "slack"])
def test_the_schema_knows_receivers(kind):
    text = {"kind": kind, "url": "https://there.example/", "timeout": "3s", "monitors": ["pumps"]}
    monitor = {"source": {"kind": "host"}, "score_every": "1m"}
    schema = config_schema()
    for receiver, fit in (
        (text, True),
        ({**text, "kind": "pager"}, False),
        ({**text, "x": 1}, False),
    ):
        config = {"notify": {"ops": receiver}, "monitors": {"pumps": monitor}}
        assert fits(config, schema, schema) is fit


def test_the_page_has_an_address(tmp_path):
    text = CONFIG.replace("{NOTIFY}", f"{{kind: slack, {URL}}}")
    (tmp_path / "aemon.yaml").write_text(text + "http: {url: 'https://u:s3cret@aemon.example'}\n")
    with pytest.raises(ConfigError, match=r"http\.url: has a user or a password") as raised:
        load_config(tmp_path / "aemon.yaml", {})
    assert "s3cret" not in str(raised.value)
