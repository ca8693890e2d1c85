from datetime import UTC, datetime, timedelta

import pytest

from aemon.config.loading import config_schema, load_config
from aemon.errors import ConfigError, ExitCode

MINIMAL = """\
monitors:
  pumps:
    source: {kind: sql, url: sqlite:///plant.db, table: readings, time: ts, key: id}
    score_every: 30s
"""


@pytest.fixture
def load(tmp_path):
    """Loads a configuration of this text."""

    def load(text, **env):
        path = tmp_path / "aemon.yaml"
        path.write_text(text, encoding="utf-8")
        return load_config(path, env)

    return load


@pytest.fixture
def problem(load, tmp_path):
    """The error of a configuration of this text, its lines without the folder."""

    def problem(text, **env):
        with pytest.raises(ConfigError) as caught:
            load(text, **env)
        assert caught.value.exit_code is ExitCode.CONFIG
        assert caught.value.__cause__ is None
        return str(caught.value).replace(f"{tmp_path}/", "")

    return problem


def test_a_minimal_monitor_needs_a_source_and_how_often(load):
    monitor = load(MINIMAL).monitors["pumps"]
    assert monitor.score_every == timedelta(seconds=30)
    assert monitor.source.kind == "sql"
    assert monitor.train_every == timedelta(days=1)


def test_the_configuration_of_the_first_issue_loads(load):
    config = load("""\
store: sqlite:///aemon.db            # or postgresql://...
http: {listen: 127.0.0.1:9464}
monitors:
  pumps:
    source: {kind: sql, url: sqlite:///plant.db, table: readings, time: ts, key: id}
    score_every: 30s
    train_every: 1d
    min_records: 1000                # cold start ends here
    threshold: {false_alarm_rate: 0.001}   # or {alarm_budget: 3/day}
""")
    assert config.monitors["pumps"].threshold.false_alarm_rate == 0.001


def test_an_environment_variable_stands_for_text(load):
    config = load("store: ${STORE}\n" + MINIMAL, STORE="postgresql://a:b@c/d")
    assert config.store.get_secret_value() == "postgresql://a:b@c/d"


def test_a_number_may_come_from_the_environment(load):
    config = load(MINIMAL + "    min_records: ${N}\n", N="2000")
    assert config.monitors["pumps"].min_records == 2000


@pytest.mark.parametrize("env", [{}, {"STORE": ""}])
def test_a_variable_without_value_takes_its_default(load, env):
    config = load("store: ${STORE:-sqlite:///x.db}\n" + MINIMAL, **env)
    assert config.store.get_secret_value() == "sqlite:///x.db"


def test_a_file_stands_for_its_content(load, tmp_path):
    (tmp_path / "password").write_text(" hunter2\n")
    config = load("store: postgresql://a:${file:password}@c/d\n" + MINIMAL)
    assert config.store.get_secret_value() == "postgresql://a:hunter2@c/d"
    config = load(f"store: postgresql://a:${{file:{tmp_path}/password}}@c/d\n" + MINIMAL)
    assert config.store.get_secret_value() == "postgresql://a:hunter2@c/d"


def test_two_dollars_escape_a_reference(load):
    config = load("store: sqlite:///$${X}$1.db\n" + MINIMAL)
    assert config.store.get_secret_value() == "sqlite:///${X}$1.db"


def test_a_value_cannot_change_the_structure(load):
    nasty = "sqlite:///x\nhttp: {listen: 0.0.0.0:1} # ${STORE}"
    config = load("store: ${STORE}\n" + MINIMAL, STORE=nasty)
    assert config.store.get_secret_value() == nasty
    assert config.http.listen == "127.0.0.1:9464"


def test_monitors_may_share_settings_by_a_merge_key(load):
    config = load(
        MINIMAL.replace("  pumps:", "  pumps: &base")
        + "  valves:\n    <<: *base\n    score_every: 1m\n"
    )
    assert config.monitors["valves"].score_every == timedelta(minutes=1)
    assert config.monitors["valves"].source == config.monitors["pumps"].source


def test_a_byte_order_mark_is_no_part_of_the_file(load):
    assert load("\ufeff" + MINIMAL).monitors


def test_a_typo_is_told_with_file_line_key_and_the_nearest_key(problem):
    text = problem(MINIMAL.replace("score_every", "score_evry"))
    assert text.splitlines() == [
        "aemon.yaml:2: monitors.pumps.score_every: missing; it must be given",
        "aemon.yaml:4: monitors.pumps.score_evry: unknown key; did you mean score_every?",
    ]


def test_the_nearest_key_is_one_of_the_same_settings(problem):
    text = problem(MINIMAL.replace("table: readings", "\n      separatr: readings"))
    assert "monitors.pumps.source.separatr: unknown key\n" in text + "\n"
    text = problem(MINIMAL.replace("table: readings", "\n      qury: SELECT 1"))
    assert "aemon.yaml:4: monitors.pumps.source.qury: unknown key; did you mean query?" in text


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("kind: sql", "kind: sqll", "3: monitors.pumps.source.kind: must be one of sql, csv, parquet, host, prometheus, mqtt, kafka, opcua, push; did you mean sql?"),
        ("kind: sql, ", "", "3: monitors.pumps.source.kind: must be one of sql, csv, parquet, host, prometheus, mqtt, kafka, opcua, push"),
        ("time: ts, ", "", "3: monitors.pumps.source.time: missing; it must be given"),
        ("table: readings, ", "", "3: monitors.pumps.source: give either table or query"),
        ("table: readings", "table: 2020", "3: monitors.pumps.source.table: must be text; put it in quotes"),
        ("30s", "30", "4: monitors.pumps.score_every: write a duration with its unit, for example 30s, 15m or 1d"),
        ("30s", "soon", "4: monitors.pumps.score_every: 'soon' is not a duration; write for example 30s, 15m, 1h30m or 1d"),
        ("30s", "", "4: monitors.pumps.score_every: has no value; give a value, or remove the key"),
        ("30s", "30s\n    min_records: 3", "5: monitors.pumps.min_records: must be at least 50"),
        ("30s", "30s\n    min_records: many", "5: monitors.pumps.min_records: must be a whole number"),
        ("30s", "30s\n    min_records: yes", "5: monitors.pumps.min_records: must be a whole number"),
        ("30s", "30s\n    detector: {members: on}", "5: monitors.pumps.detector.members: must be a whole number"),
        ("30s", "30s\n    detector: {code_size: no}", "5: monitors.pumps.detector.code_size: must be a whole number"),
        ("30s", "30s\n    threshold: {false_alarm_rate: yes}", "5: monitors.pumps.threshold.false_alarm_rate: must be a number"),
        ("30s", "30s\n    min_records: 900\n    max_training_records: 100", "6: monitors.pumps.max_training_records: 100 is less than min_records, 900; raise max_training_records, or lower min_records"),
        ("30s", "30s\n    min_records: 60000", "2: monitors.pumps.max_training_records: 50000 is less than min_records, 60000; raise max_training_records, or lower min_records"),
        ("30s", "30s\nhttp: {listen: '127.0.0.1:²'}", "5: http.listen: '127.0.0.1:²' is not an address; write for example 127.0.0.1:9464"),
        ("kind: sql", "knid: sql", "3: monitors.pumps.source.kind: must be one of sql, csv, parquet, host, prometheus, mqtt, kafka, opcua, push; did you mean kind where you wrote knid?"),
        ("table: readings", "table: readings, query: SELECT 1", "3: monitors.pumps.source: give either table or query, not both"),
        ("30s", "30s\n    threshold: {false_alarm_rate: 0.1, alarm_budget: 3/day}", "5: monitors.pumps.threshold: give either false_alarm_rate or alarm_budget, not both"),
        ("30s", "30s\n    start: latr", "5: monitors.pumps.start: must be one of 'beginning' or 'now'"),
        ("30s", "30s\n    stale_after: soon", "5: monitors.pumps.stale_after: 'soon' is not a duration; write for example 30s, 15m, 1h30m or 1d"),
        ("30s", "30s\nhttp: {client: {token: two words}}", "5: http.client.token: a token is one word without spaces, in one line"),
        ("30s", "30s\n    stale_after: 5", "5: monitors.pumps.stale_after: write a duration with its unit, for example 30s, 15m or 1d"),
        ("30s", "30s\n    columns: [a]", "5: monitors.pumps.columns: must hold `key: value` pairs"),
        ("30s", "30s\n    keep: 0.1\n    quiet: {least_records: 5}", "5: monitors.pumps.keep: quiet.least_records counts stored scores, but keep: 0.1 does not store all scores; write keep: all, or remove quiet.least_records"),
        ("30s", "30s\n    columns: {include: a}", "5: monitors.pumps.columns.include: must be a list, such as [flow, pressure]"),
        ("30s", "30s\n    columns:\n      units: {a: 3}", "6: monitors.pumps.columns.units.a: must be text; put it in quotes"),
        ("30s", "30s\n    columns:\n      kinds: {a: numbr}", "6: monitors.pumps.columns.kinds.a: must be one of 'numeric', 'boolean', 'categorical', 'angle' or 'counter'; did you mean numeric?"),
        ("30s", "30s\n    threshold: {alarm_budget: 3}", "5: monitors.pumps.threshold.alarm_budget: must be text; put it in quotes"),
        ("30s", "30s\n    threshold: {false_alarm_rate: 0.7}", "5: monitors.pumps.threshold.false_alarm_rate: must be less than 0.5"),
        ("30s", "30s\n    threshold: {method: quantil}", "5: monitors.pumps.threshold.method: must be one of 'conformal', 'evt', 'quantile', 'sigma' or 'fixed'; did you mean quantile?"),
        ("30s", "30s\n    threshold: {method: fixed}", "5: monitors.pumps.threshold: method fixed needs value, the score that is the threshold"),
        ("30s", "30s\n    threshold:\n      value: 2", "6: monitors.pumps.threshold.value: method conformal computes the threshold; write value only with method: fixed"),
        ("30s", "30s\n    threshold:\n      method: fixed\n      value: 2\n      batch_fdr: 0.1", "8: monitors.pumps.threshold.batch_fdr: method fixed has its threshold in value; remove this key"),
        ("30s", "30s\n    threshold:\n      critical_rate: 0.01", "6: monitors.pumps.threshold.critical_rate: 0.01 is not below the false-alarm rate, 0.001"),
        ("30s", "30s\n    threshold: {critical_rate: 0.01, false_alarm_rate: 0.01}", "5: monitors.pumps.threshold.critical_rate: 0.01 is not below the false-alarm rate, 0.01"),
        ("kind: sql, url: sqlite:///plant.db, table: readings, ", "kind: csv, path: a, separator: ab, ", "3: monitors.pumps.source.separator: must be `blanks`, or one character such as ';', but not a quote or a line end"),
        ("kind: sql, url: sqlite:///plant.db, table: readings, ", "kind: csv, path: a, encoding: idna, ", "3: monitors.pumps.source.encoding: not an encoding that Python knows, such as utf-8 or cp1252"),
        ("kind: sql, url: sqlite:///plant.db, table: readings, ", "kind: csv, path: a, encoding: punycode, ", "3: monitors.pumps.source.encoding: not an encoding that Python knows, such as utf-8 or cp1252"),
        ("kind: sql, url: sqlite:///plant.db, table: readings, ", f"kind: csv, path: {'a' * 5000}, ", "3: monitors.pumps.source.path: a path has at most 4,096 bytes"),
        ("kind: sql, url: sqlite:///plant.db, table: readings, ", "kind: csv, path: 'sftp://a:hunter2@host/x', ", "3: monitors.pumps.source.path: an address must not hold a password; write storage: {password: '${file:PATH}'} instead"),
        ("kind: sql, url: sqlite:///plant.db, table: readings, ", "kind: csv, path: exports, storage: {key: a}, ", "3: monitors.pumps.source.storage: is only for an address such as s3://bucket/folder; path is a local path"),
        ("30s", "30s\nhttp: {hosts: ['a b']}", "5: http.hosts.0: must be a host name without port"),
        ("pumps:", "'my pumps':", "1: monitors: '***': a monitor's name may have letters, digits, '_', '-' and '.'"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_told_in_plain_words(problem, old, new, expected):
    assert problem(MINIMAL.replace(old, new)) == f"aemon.yaml:{expected}"


def test_every_problem_is_told_at_once_in_the_order_of_the_file(problem):
    text = problem("htp: {}\nlog: {level: loud}\nmonitors: {}\n")
    assert text.splitlines() == [
        "aemon.yaml:1: htp: unknown key; did you mean http?",
        "aemon.yaml:2: log.level: must be one of 'debug', 'info', 'warning' or 'error'",
        "aemon.yaml:3: monitors: name at least one monitor",
    ]


def test_no_problem_tells_a_secret(problem):
    secret = "postgresql://aemon:hunter2@db/plant"
    wrong = [
        f"store: [{secret}]\n" + MINIMAL,
        f"store: {{url: '{secret}'}}\n" + MINIMAL,
        MINIMAL.replace("url: sqlite:///plant.db", f"urll: '{secret}'"),
        MINIMAL.replace("url: sqlite:///plant.db", f"url: ['{secret}']"),
        MINIMAL.replace("url: sqlite:///plant.db", "url: ['${URL}']"),
        MINIMAL.replace("table: readings", f"url2: '{secret}'"),
        f"store: '{secret}\n" + MINIMAL,
        f"store: {secret} : x: y\n" + MINIMAL,
        f"store: \t@{secret}\n" + MINIMAL,
    ]
    for text in wrong:
        assert "hunter2" not in problem(text, URL=secret)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://u:hunter2@h:bad/d", "is not a database URL"),
        ("hunter2", "is not a database URL"),
        ("${EMPTY}", "is empty"),
        (" ", "is empty"),
        ("hunter2://u:hunter2@h/d", "names a kind of database that SQLAlchemy does not know"),
        ("postgresql+hunter2://u@h/d", "names a kind of database that SQLAlchemy does not know"),
        ("postgresql://u:p@hunter2@h/d", "has one '@' too many; special characters"),
        ("sqlite://", "is a database in memory"),
        ("sqlite:///:memory:", "is a database in memory"),
    ],
)
def test_an_address_that_cannot_be_read_is_told_with_its_key_alone(problem, url, expected):
    text = problem(f"store: '{url}'\n{MINIMAL}", EMPTY="")
    assert text.startswith(f"aemon.yaml:1: store: {expected}")
    assert "hunter2" not in text
    text = problem(MINIMAL.replace("url: sqlite:///plant.db", f"url: '{url}'"), EMPTY="")
    assert text.startswith(f"aemon.yaml:3: monitors.pumps.source.url: {expected}")
    assert "hunter2" not in text


def test_a_store_must_be_one_aemon_can_write_to_but_a_source_need_not(problem, load):
    text = problem("store: mysql://u:hunter2@h/d\n" + MINIMAL)
    assert text.startswith("aemon.yaml:1: store: results are stored in SQLite or PostgreSQL only")
    assert "mysql" not in text
    assert load(MINIMAL.replace("sqlite:///plant.db", "'mysql://u:hunter2@h/d'")).monitors


def test_addresses_are_told_together_with_everything_else(problem):
    text = problem("store: nowhere\nhtp: {}\n" + MINIMAL)
    assert [line.split(": ")[1] for line in text.splitlines()] == ["store", "htp"]


def test_the_settings_show_no_secret(load):
    config = load("store: postgresql://aemon:hunter2@db/plant\n" + MINIMAL)
    assert "hunter2" not in f"{config} {config!r}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "aemon.yaml: the file is empty"),
        ("# nothing\n", "aemon.yaml: the file is empty"),
        ("- a\n", "aemon.yaml:1: expected `key: value` lines"),
        (MINIMAL + "    score_every: 1m\n", "aemon.yaml:5: monitors.pumps.score_every: written twice; first on line 4"),
        ("monitors:\n\tpumps: 1\n", "aemon.yaml:2: found character '\\t' that cannot start any token (indent with spaces"),
        ("a: b: c\n", "aemon.yaml:1: mapping values are not allowed here"),
        ("a: 'b\n", "aemon.yaml:2: found unexpected end of stream"),
        ("a: {b: ${C}}\n", "put text with ${...} in quotes inside { }"),
        ("a: *b\n", "aemon.yaml:1: found undefined alias 'b'"),
        ("a: &a [*a]\n", "aemon.yaml:1: a.0: an alias refers to a node that contains it"),
        ("a: !!python/object:os.system x\n", "aemon.yaml:1: could not determine a constructor"),
        ("a: 2020-13-45\n", "aemon.yaml:1: a: not a number, time or other value of YAML; put text in quotes"),
        ("? [a, b]\n: 1\n", "aemon.yaml:1: a key must be plain text"),
        ("a: 1\n---\nb: 2\n", "aemon.yaml:2: but found another document"),
        ("a: \x00\n", "aemon.yaml: not YAML"),
        ("store: x${\n" + MINIMAL + "    y: ${1A}\n", "aemon.yaml:6: monitors.pumps.y: write a reference as ${NAME}"),
    ],
)  # fmt: skip
def test_what_is_no_proper_yaml_is_told_with_its_line(problem, text, expected):
    assert expected in problem(text)


def test_an_unknown_variable_is_told_with_its_key(problem):
    expected = "aemon.yaml:1: store: the environment variable STORE is not set"
    assert problem("store: ${STORE}\n" + MINIMAL) == expected


def test_an_unreadable_secret_is_told_with_its_key(problem):
    text = problem("store: ${file:/nowhere/secret}\n" + MINIMAL)
    assert text == "aemon.yaml:1: store: cannot read /nowhere/secret: No such file or directory"


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: no such file.*aemon init"):
        load_config(tmp_path / "nowhere.yaml", {})


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(ConfigError, match="is a folder"):
        load_config(tmp_path, {})


def test_text_in_another_encoding_is_told_with_its_line(tmp_path):
    path = tmp_path / "aemon.yaml"
    path.write_bytes(b"a: b\nc: d\xfc\n")
    with pytest.raises(ConfigError, match=r"aemon\.yaml:2: not UTF-8 text"):
        load_config(path, {})


def test_the_schema_tells_every_key_with_its_default():
    schema = config_schema()
    assert schema["properties"]["store"]["default"] == "sqlite:///aemon.db"
    assert schema["properties"]["store"]["type"] == "string"
    settings = schema["$defs"]["MonitorSettings"]["properties"]
    assert settings["train_every"]["default"] == "1d"
    assert all("description" in key or "$ref" in str(key) for key in settings.values())
    assert schema["$defs"]["SqlSource"]["properties"]["url"]["type"] == "string"


def test_a_source_is_stale_by_its_monitors_own_pause_unless_said_otherwise(load):
    def age(more: str):
        monitor = load(MINIMAL.replace("score_every: 30s", more)).monitors["pumps"]
        return monitor.stale_age(datetime(2026, 3, 2, tzinfo=UTC))

    assert age("score_every: 30s") == timedelta(minutes=15)
    assert age("score_every: 1h") == timedelta(hours=3)
    assert age("score_every: '0 6 * * *'") == timedelta(days=3)
    assert age("score_every: 30s\n    stale_after: 2h") == timedelta(hours=2)
    assert age("score_every: 30s\n    stale_after: never") is None


@pytest.mark.parametrize("value", ['""', '"{{ $value }}"'])
def test_a_label_has_a_plain_value(problem, value):
    told = problem(f"{MINIMAL}    labels: {{team: {value}}}\n")
    assert told.startswith("aemon.yaml:5: monitors.pumps.labels")
    assert "team: a label's value must be plain text, and not empty" in told


@pytest.mark.parametrize(
    ("label", "why"),
    [
        ("monitor", "is set by aemon or Prometheus"),
        ("a-b", "may have letters, digits and '_'"),
        ("__x", "may have letters, digits and '_'"),
    ],
)
def test_labels_are_ones_that_prometheus_takes(problem, label, why):
    told = problem(f"{MINIMAL}    labels: {{{label}: water}}\n")
    assert told.startswith("aemon.yaml:5: monitors.pumps.labels")
    assert why in told


def test_options_of_a_file_system_may_be_secrets_of_the_environment(load):
    source = "kind: csv, path: s3://plant/exports, storage: {secret: '${S3_SECRET}', anon: false}, "
    text = MINIMAL.replace("kind: sql, url: sqlite:///plant.db, table: readings, ", source)
    config = load(text, S3_SECRET="hunter2")
    storage = config.monitors["pumps"].source.storage
    assert storage["secret"].get_secret_value() == "hunter2"
    assert storage["anon"] is False
    assert "hunter2" not in repr(config)
