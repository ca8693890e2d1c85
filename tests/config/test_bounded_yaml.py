"""A configuration that nobody wrote in earnest is refused soon, with its line, and tells no secret."""

import os
import time

import pytest

from aemon.config.loading import load_config
from aemon.errors import ConfigError
from tests.config.test_loading import MINIMAL


@pytest.fixture
def refused(tmp_path):
    """Loads a text that is refused, and returns what is said."""

    def refused(text, **env):
        path = tmp_path / "aemon.yaml"
        path.write_text(text)
        began = time.monotonic()
        with pytest.raises(ConfigError) as told:
            load_config(path, env)
        assert time.monotonic() - began < 20
        assert len(str(told.value)) < 2000
        return str(told.value).replace(str(path), "aemon.yaml")

    return refused


def multiplied(first, between="[{}]"):
    lines = [f"a0: &a0 {first}"]
    lines += [f"a{n}: &a{n} " + between.format(", ".join([f"*a{n - 1}"] * 9)) for n in range(1, 10)]
    return "\n".join(lines) + "\n"


def test_aliases_that_multiply_are_refused(refused):
    assert "aliases included" in refused(multiplied("[x]"))


def test_merged_mappings_that_multiply_are_refused(refused):
    assert "including keys of `<<`" in refused(multiplied("{x: 1}", "{{<<: [{}]}}"))


def test_a_mapping_merged_into_itself_is_refused(refused):
    assert "aemon.yaml:1: " in refused("a: &a {<<: *a}\n")


@pytest.mark.parametrize(
    "text", ["a: " + "[" * 500 + "]" * 500, "a: " + "{x: " * 500 + "1" + "}" * 500]
)
def test_deep_nesting_is_refused_with_its_line(refused, text):
    assert refused("b: 1\n" + text + "\n") == "aemon.yaml:2: nested deeper than 50 levels"


def test_a_device_is_no_configuration(tmp_path):
    fifo = tmp_path / "aemon.yaml"
    os.mkfifo(fifo)
    with pytest.raises(ConfigError, match="not a plain file"):
        load_config(fifo, {})


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("/dev/zero", "not a plain file"),
        ("fifo", "not a plain file"),
        ("/proc/kmsg", "not a file on a disk"),
        ("large", "larger than"),
        (".", "folder"),
    ],
)
def test_a_reference_to_no_plain_small_file_is_refused(refused, tmp_path, reference, words):
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "large").write_bytes(b"x" * 2_000_000)
    told = refused(MINIMAL + "store: ${file:" + reference + "}\n")
    assert words in told
    assert "store: cannot read" in told


def test_a_large_configuration_is_refused(refused):
    assert "larger than" in refused("#" * 11_000_000)


@pytest.mark.parametrize(
    "value",
    [
        "!!bool x",
        "!!bool maybe",
        '!!int ""',
        '!!float ""',
        "!!timestamp x",
        "!!int x",
    ],
)
def test_a_value_that_is_not_of_the_kind_its_tag_says_is_refused_with_its_line(refused, value):
    assert "aemon.yaml:5: trainings_at_once: " in refused(f"{MINIMAL}trainings_at_once: {value}\n")


@pytest.mark.parametrize("text", ['store: "a\\0b"\n', 'store: "${file:a\\0b}"\n'])
def test_a_nul_is_refused(refused, text):
    assert "NUL" in refused(MINIMAL + text)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("http", "{max_body: -5}"), ("http", "{max_body: 0}"), ("replicas", "{name: " + "x" * 10**6 + "}"),
        ("trainings_at_once", "999999999"), ("reload_every", "999999999d"), ("reload_every", "9" * 400 + "d"),
        ("retention", "{scores: 999999999d}"), ("retention", "{every: 36501d}"),
        ("replicas", "{lease: 999999999d}"),
    ],
)  # fmt: skip
def test_a_number_out_of_bounds_is_refused(refused, key, value):
    assert f": {key}" in refused(f"{MINIMAL}{key}: {value}\n")


@pytest.mark.parametrize(
    "setting",
    ["jitter: 999999999d", "grace: 999999999d", "score_timeout: 999999999d", "train_timeout: 999999999d",
     "train_every: 999999999d", "life: {trial_longest: 999999999d}", "life: {learn_shift_after: 40000d}",
     "lateness: 999999999d", "stale_after: 999999999d", "episodes: {longest_gap: 999999999d}",
     "chunk_records: 99999999999", "detector: {steps: 99999999999}", "quiet: {window: 999999999d}",
     "quiet: {deviates: {flow: {absolute: .inf}}}", "threshold: {false_alarm_rate: 5e-324}", "threshold: {critical_rate: 5e-324}",
     "threshold: {batch_fdr: 5e-324}", "threshold: {alarm_budget: 99999999999999999999/week}", "threshold: {alarm_budget: 0.000000001/week}",
     "threshold: {method: fixed, value: .inf}", "detector: {seed: 9223372036854775808}", "chunk_records: 1e23",
     "quiet: {maintenance: [{cron: '0 2 * * 0', lasts: 999999999d}]}"],
)  # fmt: skip
def test_a_monitors_number_out_of_bounds_is_refused(refused, setting):
    assert "aemon.yaml:5: monitors.pumps." in refused(f"{MINIMAL}    {setting}\n")


@pytest.mark.parametrize(
    "text",
    [
        "monitors:\n  c:\n    postgresql://me:hunter2@host/db: {}\n", "store: *hunter2\n",
        "store: !hunter2 x\n", "store: &hunter2 x\nhttp: &hunter2 x\n", "postgresql://me:hunter2 x@host: 5\n",
        "{hunter2@host: 1, hunter2@host: 2}\n", "monitors:\n  me:hunter2@host: {source: 5}\n",
        "monitors: {c: {source: {kind: csv, 'jdbc://x?password=hunter2': 1}}}\n",
    ],
)  # fmt: skip
def test_what_may_be_a_password_in_the_wrong_place_is_not_told(refused, text):
    assert "hunter2" not in refused(text)


def test_references_that_multiply_are_refused(refused, tmp_path):
    (tmp_path / "long.txt").write_text("x" * 900_000)
    text = MINIMAL.replace("table: readings", 'table: "' + "${file:long.txt}" * 100_000 + '"')
    assert "more than 10,000,000 characters after replacing ${...}" in refused(text)
    text = MINIMAL.replace("table: readings", 'table: "' + "${LONG}" * 100_000 + '"')
    assert "characters after replacing ${...}" in refused(text, LONG="x" * 1000)


def test_a_variable_with_an_endless_name_is_told_in_short(refused):
    text = MINIMAL.replace("table: readings", 'table: "${' + "A" * 100_000 + '}"')
    assert "variable AAA" in refused(text)
