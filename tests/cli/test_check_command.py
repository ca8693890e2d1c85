"""`aemon check`: what it shows, warns of and refuses."""

import json
import threading
from datetime import UTC, datetime, timedelta

import pytest

from aemon.errors import ExitCode
from tests import machines, readings
from tests.cli.commands import LEARNED, WIDTH, add_monitor, change, run, sql
from tests.mosquitto import Mosquitto, publisher
from tests.processes import insert, make_table


def report(folder, name="pumps", code=ExitCode.OK):
    (found,) = json.loads(run(folder, "check", name, "--json", code=code).stdout)["monitors"]
    return found


def row(text, name):
    """The cells of the last row of a name: that of the first records."""
    lines = [line for line in text.splitlines() if line.startswith(f"{name} ")]
    return lines[-1].split()[1:]


def test_check_shows_columns_and_first_records(folder):
    text = run(folder, "check").stdout
    assert "flow      numeric  numbers" in text.splitlines()
    assert row(text, "flow")[0] == f"{readings.values(1)[0][0]:.6g}"
    pumps = report(folder)
    assert [column["column"] for column in pumps["columns"]] == ["flow", "pressure", "current"]
    assert pumps["records_seen"] == LEARNED
    (short,) = pumps["warnings"]  # they say nothing of the rhythm of a day
    assert "the 200 training records cover 3m" in short
    assert "known from 2026-01-03 00:00 UTC on" in short
    first, *_ = pumps["first_records"]
    assert first["key"] == "0"
    assert first["values"]["flow"] == pytest.approx(readings.values(1)[0][0])
    assert not (folder / "aemon.db").exists(), "checking makes nothing"


def test_first_records_stand_side_by_side_in_six_digits(folder):
    make_table(folder / "plant.db", "odd", ["ts TEXT", "flow REAL", "note TEXT", "pump TEXT"])
    rows = [
        (1, "2026-01-01T00:00:00", 1 / 3, "all is\nwell \x1b[31m" + "x" * 200, "P-1"),
        (2, "2026-01-01T00:00:01", None, None, "P-2"),
    ]
    insert(folder / "plant.db", "odd", rows)
    add_monitor(folder, "odd", sql(folder, "odd"))
    add_monitor(folder, "by_pump", sql(folder, "odd", ", entity: pump"))
    text = run(folder, "check", "odd").stdout
    times = ["2026-01-01", "00:00:00", "2026-01-01", "00:00:01"]
    assert row(text, "time") == ["(UTC)", *times]
    assert row(text, "key") == ["1", "2"]
    assert row(text, "flow") == ["0.333333"], "nothing for a null"
    assert "\x1b[31m" not in text
    assert "None" not in text
    assert "nan" not in text
    assert not [line for line in text.splitlines() if line.startswith("entity ")]
    assert row(run(folder, "check", "by_pump").stdout, "entity") == ["P-1", "P-2"]
    assert max(map(len, text.splitlines())) <= WIDTH


def test_times_in_one_second_keep_what_tells_them_apart(folder):
    make_table(folder / "plant.db", "fast", ["ts TEXT", "flow REAL"])
    rows = [(n, f"2026-01-01T00:00:00.{n}5", float(n)) for n in range(3)]
    insert(folder / "plant.db", "fast", rows)
    add_monitor(folder, "fast", sql(folder, "fast"))
    assert "2026-01-01 00:00:00.05 " in run(folder, "check", "fast").stdout


def test_check_names_what_is_wrong_and_goes_on(folder):
    add_monitor(folder, "fans", sql(folder, "reedings"))
    done = run(folder, "check", code=ExitCode.SOURCE)
    assert "reedings" in done.stdout
    assert "readings" in done.stdout
    assert "flow" in done.stdout


def test_a_source_of_which_no_record_can_be_read_is_refused_with_an_example(folder):
    make_table(folder / "plant.db", "odd", ["ts TEXT", *readings.COLUMNS])
    insert(folder / "plant.db", "odd", [(7, "0001-01-01", 1.0, 2.0, 3.0)])
    add_monitor(folder, "odd", sql(folder, "odd"))
    odd = report(folder, "odd", ExitCode.DATA)
    assert odd["error"].startswith("none of 1 records can be judged")
    assert "ts '0001-01-01' in record 7" in odd["error"]
    assert "`time`" in odd["todo"]


def test_a_file_of_which_no_line_fits_is_refused_with_the_line(folder):
    (folder / "wide.csv").write_text("ts,flow\n" + "2026-01-01,1,2\n" * 300)
    add_monitor(folder, "wide", "{kind: csv, path: wide.csv, time: ts}")
    wide = report(folder, "wide", ExitCode.DATA)
    assert "none of 300 records can be judged" in wide["error"]
    assert "wide.csv:2: 2 fields are expected and 3 found: '2026-01-01,1,2'" in wide["error"]
    done = run(folder, "score", "wide", code=ExitCode.FAILED)
    assert "none of 200 records" in done.stdout
    assert "aemon train" not in done.stdout


def test_files_that_cannot_be_told_apart_are_refused_before_anything_is_learned(folder):
    (folder / "exports").mkdir()
    for name in ("a", "b"):
        rows = [f"2026-01-01T00:{n // 60:02}:{n % 60:02},{n}" for n in range(300)]
        (folder / "exports" / f"{name}.csv").write_text("\n".join(["ts,flow", *rows, ""]))
    add_monitor(folder, "pumps2", "{kind: csv, path: exports, time: ts}")
    assert "a.csv and b.csv" in report(folder, "pumps2", ExitCode.SOURCE)["error"]
    run(folder, "train", "pumps2", code=ExitCode.SOURCE)
    done = run(folder, "score", "pumps2", code=ExitCode.FAILED)
    assert "a.csv and b.csv" in done.stdout.replace("\n", " ")


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_source_with_few_records_is_no_failure(folder, count):
    make_table(folder / "plant.db", "few", ["ts TEXT", *readings.COLUMNS])
    if count:
        insert(folder / "plant.db", "few", readings.rows(count))
    add_monitor(folder, "few", sql(folder, "few"))
    few = report(folder, "few")
    assert few["records_seen"] == count
    expected = "may still change" if count else "no records yet"
    assert expected in few["warnings"][0]
    if count:
        assert few["warnings"][0].startswith(f"{count} of 200 records so far")
        assert len(few["columns"]) == 3


def test_a_misnamed_column_is_told_even_with_few_records(folder):
    make_table(folder / "plant.db", "few", ["ts TEXT", *readings.COLUMNS])
    insert(folder / "plant.db", "few", readings.rows(2))
    add_monitor(folder, "few", sql(folder, "few"), "    columns: {include: [flo]}\n")
    assert "did you mean 'flow'?" in report(folder, "few", ExitCode.DATA)["todo"]


def test_a_live_source_is_waited_for(folder):
    add_monitor(folder, "machine", "{kind: host, sample_every: 200ms}")
    machine = report(folder, "machine")
    assert machine["records_seen"] >= 2
    (note,) = machine["warnings"]
    assert note.startswith("a stream with a record every 200ms: ")
    assert "arrived in" in note
    text = run(folder, "check", "machine").stdout
    assert max(map(len, text.splitlines())) <= WIDTH


def test_records_whose_time_nobody_believes_are_counted(folder):
    ahead = (datetime.now(UTC) + timedelta(days=3000)).isoformat()
    make_table(folder / "plant.db", "slipped", ["ts TEXT", *readings.COLUMNS])
    insert(folder / "plant.db", "slipped", readings.rows(3))
    insert(folder / "plant.db", "slipped", [(90, ahead, 1.0, 2.0, 3.0)])
    add_monitor(folder, "slipped", sql(folder, "slipped"))
    warnings = report(folder, "slipped")["warnings"]
    assert "1 records wait: their time is unreadable or more than a year ahead" in warnings


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("    detector: {code_size: 3}\n", "detector.code_size is 3"),
        ("    columns: {exclude: [flow, pressure, current]}\n", "nothing to learn from"),
        ("    detector: {code_size: 3}\n    start: now\n", "detector.code_size is 3"),
        ("    detector: {kind: vanilla, hidden_sizes: [9]}\n", "detector.hidden_sizes is given"),
    ],
)
def test_what_training_would_refuse_is_refused_before_it(folder, more, expected):
    add_monitor(folder, "wide", sql(folder, "readings"), f"    min_records: {LEARNED}\n{more}")
    wide = report(folder, "wide", ExitCode.DATA)
    assert wide["error"].startswith(expected)
    assert wide["columns"], "what was seen is shown all the same"
    text = run(folder, "check", "wide", code=ExitCode.DATA).stdout
    assert expected in text
    assert max(map(len, text.splitlines())) <= WIDTH


def test_a_wide_code_is_fine_for_a_regularised_kind(folder):
    more = "    detector: {kind: sparse, code_size: 30}\n"
    add_monitor(folder, "wide", sql(folder, "readings"), f"    min_records: {LEARNED}\n{more}")
    assert "error" not in report(folder, "wide")


def test_a_store_whose_folder_is_not_there_is_an_error(folder):
    change(folder, f"sqlite:///{folder}/aemon.db", f"sqlite:///{folder}/nowhere/aemon.db")
    text = run(folder, "check", code=ExitCode.STORE).stdout
    assert f"store: the folder {folder}/nowhere does not exist" in " ".join(text.split())
    assert "first run" not in text


def test_a_store_that_differs_is_an_error(folder):
    import sqlite3

    run(folder, "db", "upgrade")
    assert "store: ready, schema 0013" in run(folder, "check").stdout
    connection = sqlite3.connect(folder / "aemon.db")
    connection.execute("ALTER TABLE runs ADD COLUMN surprise INTEGER")
    connection.close()
    assert "table runs: column surprise is not" in run(folder, "check", code=ExitCode.STORE).stdout


def test_a_rule_about_a_column_that_is_not_there_is_refused(folder):
    for rule in ("directions: {flwo: high}", "least_gaps: {flwo: {absolute: 2}}"):
        add_monitor(folder, rule[:5], sql(folder, "readings"), f"    quiet: {{{rule}}}\n")
        found = report(folder, rule[:5], code=ExitCode.DATA)
        key = rule.partition(":")[0]
        assert found["error"] == f"column 'flwo', named under quiet.{key}, is not in the records"
        assert found["todo"] == "did you mean 'flow'? the records have: flow, pressure, current"


@pytest.mark.parametrize("time", [60996.5, 2025111713, "Montag", 638989812000000000, 100000, 100])
def test_a_time_that_cannot_be_meant_is_shown_with_the_setting_that_says_what_it_is(folder, time):
    make_table(folder / "plant.db", "odd_times", ["ts", "flow REAL"])
    insert(folder / "plant.db", "odd_times", [(n, time, n) for n in range(300)])
    add_monitor(folder, "odd", sql(folder, "odd_times"))
    odd = report(folder, "odd", ExitCode.DATA)
    assert str(time) in odd["error"]
    assert "time_format" in odd["todo"]
    run(folder, "train", "odd", code=ExitCode.DATA)


@pytest.mark.parametrize("time", [45978, 2460997, 739938, 20251117])
def test_days_that_are_numbers_are_read_and_learned_from(folder, time):
    make_table(folder / "plant.db", "days", ["ts", "flow REAL"])
    step = 1 / 1440 if time < 10_000_000 else 0
    rows = [(n, time + n * step, n % 7 + 0.1 * (n % 3)) for n in range(300)]
    insert(folder / "plant.db", "days", rows)
    add_monitor(folder, "days", sql(folder, "days"))
    first, *_ = report(folder, "days")["first_records"]
    assert first["time"].startswith("2025-11-17")


@pytest.mark.parametrize("lateness", ["", "    lateness: 1h\n"])
def test_keys_that_do_not_tell_what_is_new_are_told_with_the_setting(folder, lateness):
    make_table(folder / "plant.db", "named", ["name TEXT", "ts TEXT", "flow REAL"])
    rows = [(n, f"r{n}", f"2026-01-01T00:{n // 60:02}:{n % 60:02}", n % 7) for n in range(300)]
    insert(folder / "plant.db", "named", rows)
    source = sql(folder, "named").replace("key: id", "key: name")
    add_monitor(folder, "named", source, lateness)
    told = [text for text in report(folder, "named")["warnings"] if "lateness" in text]
    assert len(told) == (0 if lateness else 1)


def test_check_refuses_what_training_would_refuse_for_keys_that_come_again(folder):
    rows = [(n % 50, *row[1:]) for n, row in enumerate(readings.rows(LEARNED))]
    make_table(folder / "plant.db", "daily", ["number INTEGER", "ts TEXT", *readings.COLUMNS])
    insert(folder / "plant.db", "daily", [(n, *row) for n, row in enumerate(rows)])
    source = sql(folder, "daily").replace("key: id", "key: number")
    add_monitor(folder, "daily", source, f"    min_records: {LEARNED}\n")
    text = run(folder, "check", "daily", code=ExitCode.DATA).stdout
    told = (
        "of the first 200 records only 50 can be used: 150 with a key that is repeated further down"
    )
    assert told in " ".join(text.split())
    assert "entity: NAME" in " ".join(text.split())
    failed = run(folder, "train", "daily", code=ExitCode.DATA).stderr
    assert told in " ".join(failed.split())


@pytest.mark.parametrize(("step", "told"), [(-1, True), (1, False), (0, False)])
def test_check_tells_of_a_file_whose_newest_records_stand_first(folder, step, told):
    lines = [
        f"{readings.START + timedelta(minutes=step * n):%Y-%m-%d %H:%M:%S},{n % 7}\n"
        for n in range(LEARNED)
    ]
    (folder / "log.csv").write_text("ts,flow\n" + "".join(lines))
    add_monitor(folder, "log", f"{{kind: csv, path: '{folder}/log.csv', time: ts}}")
    warnings = " ".join(report(folder, "log")["warnings"])
    assert ("the newest records come first" in warnings) == told


def test_a_condition_is_told_by_its_share_and_refused_where_it_never_holds(folder):
    # Given a machine that is at work in seven of ten records
    make_table(folder / "plant.db", "machine", machines.COLUMNS)
    insert(folder / "plant.db", "machine", machines.rows(300))
    more = "    min_records: 300\n    columns: {only_when: speed > 10, settle: 5s}\n"
    add_monitor(folder, "machine", sql(folder, "machine", ", entity: machine"), more)
    # Then it is told how many count
    *_, told = report(folder, "machine")["warnings"]
    assert told == (
        "200 of 300 records (67%) are judged and used for training: those for which `speed > 10` holds for at "
        "least 5s"
    )
    # When it holds for none
    change(folder, "speed > 10", "speed > 99 or speed is missing")
    found = report(folder, "machine", ExitCode.DATA)
    assert "holds for none of 300 records" in found["error"]
    assert "change the condition: speed is 0 to 49." in found["todo"]
    # When a column is not there, or the condition none
    change(folder, "speed > 99 or speed is missing", "sped > 99")
    found = report(folder, "machine", ExitCode.DATA)
    assert "column 'sped', named under columns.only_when, is not in the records" in found["error"]
    assert "did you mean 'speed'?" in found["todo"]
    change(folder, "sped > 99", "speed = 9")
    error = run(folder, "check", "machine", code=ExitCode.CONFIG).stderr
    assert "only_when" in error
    assert "character 7: '=' is not known; write ==" in " ".join(error.split())


def test_readings_of_a_stream_are_shown_as_the_records_they_make(folder):
    with Mosquitto(folder / "broker") as broker:
        add_monitor(
            folder,
            "tags",
            f"{{kind: mqtt, url: '{broker.url}', topics: {{'plant/tags': $}}, "
            "pivot: {name: tag, value: value}, bucket: 1m}",
        )
        over = threading.Event()

        def publish():
            with publisher(broker.port) as publishing:
                while not over.wait(0.05):
                    publishing.say_all(
                        ("plant/tags", json.dumps({"tag": tag, "value": number}))
                        for number, tag in enumerate(("flow", "pressure"))
                    )

        thread = threading.Thread(target=publish, name="publish")
        thread.start()
        try:
            tags = report(folder, "tags")
        finally:
            over.set()
            thread.join()
    assert sorted(column["column"] for column in tags["columns"]) == ["flow", "pressure"]
    (note,) = tags["warnings"]
    assert "readings arrived in" in note
