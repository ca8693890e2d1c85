"""A store goes into a file and back, between both databases, and loses nothing."""

import json
import math
import tracemalloc
import zipfile
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from aemon.clock import utc_now
from aemon.errors import TransferError
from aemon.store.engine import open_engine
from aemon.store.schema import revisions
from aemon.store.schema.revisions import check
from aemon.store.schema.tables import (
    anomalies,
    artifacts,
    audit,
    contributions,
    detectors,
    drifts,
    episodes,
    feedback,
    history,
    leases,
    live_states,
    metadata,
    monitors,
    notifications,
    receivers,
    rejected_records,
    replicas,
    runs,
    scores,
    snoozes,
    stream_notes,
    thresholds,
    trial_verdicts,
    trials,
    unfinished_records,
    watermarks,
)
from aemon.store.store import Store
from aemon.store.transfer import archive, moving

T0 = datetime(2026, 3, 1, 8, 0, 0, 123456, tzinfo=UTC)
LONG_AGO = datetime(1912, 4, 14, 23, 40, 0, 1, tzinfo=UTC)
FAR = datetime(2261, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)
ODD_KEYS = [
    "plain",
    "täglich 日本 🛠",
    "two\nlines\r\n",
    "tab\there",
    "back\\slash\\n",
    '"',
    "\\.",
    "",
]
EXTREMES = [5e-324, 1.7976931348623157e308, -0.0, 0.1 + 0.2, -1e-300, None]


def rows_of(store: Store) -> dict[str, list[dict]]:
    with store.reading() as connection:
        return {
            table.name: [
                dict(row)
                for row in connection.execute(
                    sa.select(table).order_by(*table.primary_key.columns)
                ).mappings()
            ]
            for table in metadata.sorted_tables
        }


def fill(store: Store) -> None:
    """Rows in every table, of values that are easily lost."""
    score = {
        "monitor": "pumps",
        "entity": "p1",
        "scored_at": T0,
        "superseded_at": None,
        "p_value": 0.5,
        "exceedance": None,
        "verdict": "normal",
        "detector_id": 41,
        "threshold_id": 77,
        "run_id": None,
        "late": False,
        "imputed_share": 0.0,
        "record_hash": None,
    }
    key = {"monitor": "pumps", "record_key": ODD_KEYS[2], "entity": "Pümpe\t1", "revision": 2}
    normal = [
        {**score, "record_key": name, "revision": 1, "event_time": when, "score": number}
        for name, when, number in zip(
            [*ODD_KEYS, *(str(n) for n in range(12))],
            [LONG_AGO, FAR, *(T0 - timedelta(days=31 * n) for n in range(18))],
            [*EXTREMES, *(n / 7 for n in range(14))],
            strict=True,
        )
    ]
    first = {**score, **key, "revision": 1, "event_time": T0, "score": 1.0, "superseded_at": T0}
    second = {
        **score, **key, "event_time": T0, "score": 9.0, "verdict": "anomaly", "late": True,
        "run_id": 2**40, "record_hash": -(2**63), "exceedance": 4.5,
    }  # fmt: skip
    counts = {c.name: n for n, c in enumerate(runs.c) if c.name.startswith(("rec", "cel", "ano"))}
    record = {"flow": 5e-324, "valve": "öffen\n", "none": None, "n": [1, 2.5, True], "big": 2**60}
    provenance = {
        "monitor": "pumps",
        "trained_from": LONG_AGO,
        "trained_until": T0,
        "training_records": 640,
        "validation_records": 160,
        "calibration_records": 200,
        "seed": 2**31 - 1,
        "validation_error": 0.1,
        "settings_hash": "s",
        "feature_map_hash": "f",
        "data_hash": "d",
        "versions": {"aemon": "0.1.0"},
    }
    said = {"monitor": "pumps", "created_at": T0}
    filled = {
        monitors: [{"name": "Öl-Pumpen", "created_at": LONG_AGO}],
        artifacts: [{"sha256": "aa", "format_version": 2, "content": bytes(range(256)) * 40}],
        detectors: [
            {**provenance, "id": 40, "version": 1, "state": "retired", "trained_at": LONG_AGO,
             "manifest": None, "artifact_sha256": None},
            {**provenance, "id": 41, "version": 2, "state": "active", "trained_at": T0,
             "manifest": {"a": [None, {}]}, "artifact_sha256": "aa"},
        ],
        thresholds: [
            {"id": 77, "detector_id": 41, "value": 1e-308, "method": "conformal",
             "false_alarm_rate": 0.01, "calibration_records": 200, "created_at": T0}
        ],
        runs: [
            {"id": 2**40, "monitor": "pumps", "job": "score", "outcome": "ok", "reason": "a\\b\n",
             "started_at": T0, "finished_at": T0, "detector_id": None, "threshold_id": None,
             **counts},
        ],
        watermarks: [
            {"monitor": "pumps", "event_time": T0, "record_key": ODD_KEYS[1], "position": "{}",
             "source": "s", "generation": 7, "updated_at": T0, "settled": None},
            {"monitor": "Öl-Pumpen", "event_time": None, "record_key": "", "position": "",
             "source": "", "generation": 1, "updated_at": T0, "settled": {"record_key": "ü"}},
        ],
        history: [
            {"id": 9_000_000_000, "monitor": "pumps", "entity": "Pümpe\t1", "record_key": "1",
             "event_time": FAR, "record": record}
        ],
        rejected_records: [
            {"id": 2**40, "monitor": "pumps", "received_at": FAR, "reason": "no_key",
             "record": '{"flöw": "\\\\u0000"'}
        ],
        unfinished_records: [
            {"monitor": "pumps", "record_key": "1", "entity": "Pümpe\t1", "event_time": FAR,
             "received_at": T0, "record": record}
        ],
        stream_notes: [
            {"id": 2**40, "monitor": "pumps", "noted_at": FAR, "note": '{"taken": ["1:aa"]}'}
        ],
        scores: [*normal, first, second],
        episodes: [
            {"id": 3, "monitor": "pumps", "entity": "Pümpe\t1", "state": "closed",
             "started_at": LONG_AGO, "ended_at": FAR, "records": 2, "severity": "critical",
             "peak_exceedance": 5e-324, "peak_record_key": ODD_KEYS[2], "feature": "flöw",
             "blame": {"flöw": 5e-324, "": 0.1}, "calm_records": 6, "updated_at": T0},
        ],
        receivers: [{"name": "öps", "known_at": LONG_AGO}],
        notifications: [
            {"id": 2**40, "monitor": "pumps", "episode_id": 3, "receiver": "öps", "event": "opened",
             "state": "dead", "severity": "critical", "created_at": T0, "due_at": FAR,
             "attempts": 3, "next_try_at": None, "sent_at": None, "status": 404,
             "last_error": "a\\b\n"}
        ],
        anomalies: [
            {**key, "episode_id": 3, "event_time": T0, "severity": "critical", "reason": 'flow\t"1"',
             "observed": record, "reconstructed": {}}
        ],
        contributions: [
            {**key, "rank": 1, "feature": "flöw", "observed": None, "reconstructed": -0.0,
             "observed_text": None, "reconstructed_text": "\\N", "error": 5e-324, "share": 1.0}
        ],
        feedback: [
            {**said, "id": 5, "record_key": None, "entity": None, "verdict": "ignore_until",
             "until": FAR, "note": "line 1\nline 2\\\t🙂", "detector_id": None},
            {**said, "id": 6, "record_key": ODD_KEYS[2], "entity": "", "verdict": "confirmed",
             "until": None, "note": "", "detector_id": 41},
        ],
        replicas: [
            {"name": "höst-1", "address": "[::1]:9464", "version": "0.1.0", "started_at": T0,
             "seen_at": FAR}
        ],
        leases: [
            {"monitor": "pumps", "holder": "höst-1", "token": 2**62, "taken_at": T0,
             "expires_at": FAR}
        ],
        snoozes: [
            {"id": 2**40, "monitor": "pumps", "entity": None, "since": LONG_AGO, "until": FAR,
             "note": "\ttab\n", "created_at": T0}
        ],
        drifts: [
            {"id": 7, "monitor": "pumps", "kind": "column", "feature": "flöw", "entity": "p\t1", "state": "open",
             "started_at": LONG_AGO, "detected_at": T0, "ended_at": None, "measure": 5e-324,
             "reason": "a\\b", "detector_id": 41}
        ],
        live_states: [
            {"monitor": "pumps", "detector_id": 41, "state": {"a": [5e-324, None]}, "updated_at": T0}
        ],
        audit: [
            {"id": 3, "at": T0, "who": "zoë", "origin": "api", "address": "::1", "action": "label",
             "monitor": "", "details": {"label": "a\tb"}}
        ],
        trials: [
            {"detector_id": 40, "active_id": 41, "began_at": T0, "updated_at": FAR, "records": 9,
             "flagged": 1, "flagged_by_active": 2, "flagged_by_both": 0, "critical_by_active": 1,
             "critical_kept": 0}
        ],
        trial_verdicts: [
            {"detector_id": 40, "record_key": key, "entity": "", "event_time": T0,
             "exceedance": 5e-324, "active_exceedance": 1.5}
            for key in ODD_KEYS
        ],
    }  # fmt: skip
    assert set(filled) == set(metadata.tables.values())
    with store.writing() as connection:
        for table, rows in filled.items():
            connection.execute(sa.insert(table), rows)


@pytest.fixture
def filled(store) -> Store:
    fill(store)
    return store


@pytest.fixture(scope="module")
def whole_file(tmp_path_factory) -> bytes:
    """What a filled store exports."""
    folder = tmp_path_factory.mktemp("exported")
    engine = open_engine(f"sqlite:///{folder}/aemon.db")
    revisions.prepare(engine)
    store = Store(engine, utc_now)
    store.add_monitors(["pumps"])
    fill(store)
    moving.export(store, folder / "results.zip")
    store.close()
    return (folder / "results.zip").read_bytes()


@pytest.fixture
def path(whole_file, tmp_path):
    """An exported file, to be damaged."""
    path = tmp_path / "results.zip"
    path.write_bytes(whole_file)
    return path


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def other(request, tmp_path):
    """Another store, empty, of either kind."""
    if request.param == "sqlite":
        engine = open_engine(f"sqlite:///{tmp_path}/other.db")
    else:
        engine = open_engine(request.getfixturevalue("another_postgres_url"))
    revisions.prepare(engine)
    other = Store(engine, utc_now)
    yield other
    other.close()


@pytest.fixture
def another_postgres_url(postgres_server):
    import uuid
    from contextlib import closing

    import psycopg

    name = f"test_{uuid.uuid4().hex[:12]}"
    with closing(psycopg.connect(postgres_server, autocommit=True)) as connection:
        connection.execute(f"CREATE DATABASE {name} STRATEGY file_copy")
        yield postgres_server.rpartition("/")[0] + f"/{name}"
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def edited(path, entry, change) -> None:
    """Change one entry of a file as a person with a zip tool would."""
    with zipfile.ZipFile(path) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    contents[entry] = change(contents[entry])
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in contents.items():
            if content is not None:
                archive.writestr(name, content)


def test_every_value_comes_through(filled, other, tmp_path):
    path = tmp_path / "results.zip"
    written = moving.export(filled, path, batch=7)
    read = moving.import_(other, path, batch=3)
    before, after = rows_of(filled), rows_of(other)
    assert written == read == {name: len(rows) for name, rows in before.items()}
    assert all(written.values())
    for name, rows in before.items():
        assert after[name] == rows, name
    assert check(other.engine) == []
    assert not list(tmp_path.glob(".*")), "nothing unfinished is left"


def test_what_is_null_is_sqls_null(filled, other, tmp_path):
    moving.export(filled, tmp_path / "f")
    moving.import_(other, tmp_path / "f")
    with other.reading() as connection:
        for column in (watermarks.c.settled, detectors.c.manifest):
            count = sa.select(sa.func.count()).where(column.is_(sa.null()))
            assert connection.execute(count).scalar_one() == 1, column


def test_a_negative_zero_keeps_its_sign_where_the_database_does(filled, other, tmp_path):
    """SQLite stores a zero without a sign."""
    kinds = {filled.engine.dialect.name, other.engine.dialect.name}
    moving.export(filled, tmp_path / "f")
    moving.import_(other, tmp_path / "f")
    (row,) = rows_of(other)["contributions"]
    expected = -1.0 if kinds == {"postgresql"} else 1.0
    assert math.copysign(1, row["reconstructed"]) == expected


def test_new_rows_get_ids_behind_the_old_ones(filled, other, tmp_path):
    moving.export(filled, tmp_path / "f")
    moving.import_(other, tmp_path / "f")
    run = {c.name: 0 for c in runs.c if not c.nullable}
    run |= {"monitor": "pumps", "job": "score", "outcome": "ok", "reason": ""}
    run |= {"started_at": T0, "finished_at": T0}
    del run["id"]
    kept = {"monitor": "pumps", "record_key": "2", "event_time": T0, "record": {}}
    with other.writing() as connection:
        (run_id,) = connection.execute(sa.insert(runs).values(run)).inserted_primary_key
        (kept_id,) = connection.execute(sa.insert(history).values(kept)).inserted_primary_key
    assert (run_id, kept_id) == (2**40 + 1, 9_000_000_001)


def test_an_empty_store_comes_through_and_numbers_from_one(store, other, tmp_path):
    moving.export(store, tmp_path / "f")
    assert moving.import_(other, tmp_path / "f")["monitors"] == 1
    said = {"monitor": "pumps", "record_key": "1", "verdict": "confirmed"}
    with other.writing() as connection:
        made = connection.execute(sa.insert(feedback).values(said)).inserted_primary_key
    assert made == (1,)


def test_the_file_shows_one_moment(filled, other, tmp_path, monkeypatch):
    """A daemon that writes meanwhile does not get half of its rows in."""
    write_entry, busy = moving.write_entry, []

    def meanwhile(archive, table, batches):
        if not busy and table is history:
            busy.append(1)
            with filled.writing() as connection:
                connection.execute(sa.delete(contributions))
                connection.execute(sa.delete(watermarks))
        return write_entry(archive, table, batches)

    before = rows_of(filled)
    monkeypatch.setattr(moving, "write_entry", meanwhile)
    moving.export(filled, tmp_path / "f")
    assert busy
    assert rows_of(filled)["contributions"] == []
    moving.import_(other, tmp_path / "f")
    assert rows_of(other) == before


def test_a_file_is_not_overwritten_unless_forced(filled, tmp_path):
    path = tmp_path / "results.zip"
    path.write_text("mine")
    with pytest.raises(TransferError, match="exists already") as raised:
        moving.export(filled, path)
    assert "--force" in raised.value.todo
    assert path.read_text() == "mine"
    moving.export(filled, path, force=True)
    assert zipfile.is_zipfile(path)


def test_a_failing_export_leaves_the_old_file_and_nothing_else(filled, tmp_path, monkeypatch):
    path = tmp_path / "out" / "results.zip"
    with pytest.raises(TransferError, match="cannot be written: No such file"):
        moving.export(filled, path)
    path.parent.mkdir()
    path.write_text("old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(moving, "write_manifest", full)
    with pytest.raises(TransferError, match="No space left on device"):
        moving.export(filled, path, force=True)
    assert [p.name for p in path.parent.iterdir()] == ["results.zip"]
    assert path.read_text() == "old"


def test_a_store_with_rows_is_refused_by_the_tables_name(filled, path):
    before = rows_of(filled)
    with pytest.raises(TransferError, match="has rows in table ") as raised:
        moving.import_(filled, path)
    assert raised.value.message.split()[-1] in metadata.tables
    assert "empty database" in raised.value.todo
    assert rows_of(filled) == before


def test_monitors_of_the_configuration_are_no_rows(filled, other, tmp_path):
    other.add_monitors(["pumps", "fans"])
    moving.export(filled, tmp_path / "f")
    moving.import_(other, tmp_path / "f")
    after = {row["name"]: row["created_at"] for row in rows_of(other)["monitors"]}
    before = {row["name"]: row["created_at"] for row in rows_of(filled)["monitors"]}
    assert after == before | {"fans": after["fans"]}


def without_last_line(content: bytes) -> bytes:
    return b"".join(content.splitlines(keepends=True)[:-1])


def damaged(number: int, old: str, new: str):
    def change(content: bytes) -> bytes:
        lines = content.decode().splitlines(keepends=True)
        assert old in lines[number - 1]
        lines[number - 1] = lines[number - 1].replace(old, new)
        return "".join(lines).encode()

    return change


@pytest.mark.parametrize(
    ("entry", "change", "told"),
    [
        ("scores.jsonl", without_last_line, r"scores.jsonl, line 21: has 21 lines where 22 rows"),
        ("scores.jsonl", damaged(3, "normal", "absent"), "differ from the exported rows"),
        ("scores.jsonl", damaged(4, '"late":', '"lat":'), "line 4: not a row of scores"),
        ("scores.jsonl", damaged(5, "}", ""), "line 5: not a row of scores"),
        ("scores.jsonl", damaged(6, '"verdict":"normal"', '"verdict":null'), "line 6: .*missing"),
        ("scores.jsonl", damaged(7, '"event_time":"', '"event_time":"x'), "line 7: .*isoformat"),
        ("scores.jsonl", damaged(1, '"revision":1', '"revision":"one"'), "lines? 1-"),
        (
            "artifacts.jsonl",
            damaged(1, '"content":"', '"content":"*'),
            "line 1: not a row of artifacts",
        ),
        ("runs.jsonl", lambda content: content * 2, "runs.jsonl"),
        ("scores.jsonl", lambda _: None, "scores.jsonl: is missing"),
        ("manifest.json", lambda _: None, "manifest.json is missing"),
        ("manifest.json", lambda _: b"[]", "manifest.json is missing, or is not as"),
        ("manifest.json", lambda c: c.replace(b'"runs"', b'"ruins"'), "does not name runs"),
    ],
)
def test_an_edited_file_is_refused_and_nothing_is_imported(
    path, whole_file, other, entry, change, told
):
    edited(path, entry, change)
    before = rows_of(other)
    with pytest.raises(TransferError, match=told) as raised:
        moving.import_(other, path, batch=4)
    assert "results.zip" in raised.value.message
    assert raised.value.todo
    assert rows_of(other) == before
    # The same store takes the whole file afterwards.
    path.write_bytes(whole_file)
    assert moving.import_(other, path) == {n: len(rows) for n, rows in rows_of(other).items()}


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_a_cut_file_is_refused(path, whole_file, other, share):
    path.write_bytes(whole_file[: int(len(whole_file) * share)])
    with pytest.raises(TransferError, match=r"results.zip"):
        moving.import_(other, path)
    assert rows_of(other)["scores"] == []


def test_a_file_with_a_flipped_bit_is_refused_with_its_entry(path, whole_file, other):
    with zipfile.ZipFile(path) as archive:
        place = archive.getinfo("scores.jsonl").header_offset + 400
    content = bytearray(whole_file)
    content[place] ^= 1
    path.write_bytes(content)
    with pytest.raises(TransferError, match=r"results.zip: scores.jsonl, line"):
        moving.import_(other, path)
    assert rows_of(other)["runs"] == []


def test_a_missing_file_is_said_so(store, tmp_path):
    with pytest.raises(TransferError, match="cannot be read: No such file"):
        moving.import_(store, tmp_path / "nothing.zip")


@pytest.mark.parametrize(
    ("revision", "todo"),
    [
        ("0002", "import the file with aemon 9.9, then run `aemon db upgrade`"),
        ("9999", "install aemon"),
    ],
)
def test_a_file_of_another_schema_is_refused_with_what_to_do(path, other, revision, todo):
    def written_by_another(content: bytes) -> bytes:
        return json.dumps({**json.loads(content), "schema": revision, "aemon": "9.9"}).encode()

    edited(path, "manifest.json", written_by_another)
    with pytest.raises(TransferError, match=f"has schema {revision} of aemon 9.9") as raised:
        moving.import_(other, path)
    assert todo in raised.value.todo


@pytest.mark.parametrize("other", ["postgresql"], indirect=True)
@pytest.mark.postgresql
def test_what_postgresql_cannot_hold_is_told_with_its_lines(path, other):
    """Its text has no letter zero."""
    edited(path, "feedback.jsonl", damaged(2, '"note":"', '"note":"\\u0000'))
    with pytest.raises(TransferError, match=r"feedback.jsonl, line 2: the store refuses"):
        moving.import_(other, path, batch=1)


def test_no_more_than_a_batch_is_held_at_once(filled, other, tmp_path, monkeypatch):
    sizes = {"written": [], "read": []}
    write_entry, write_rows = moving.write_entry, moving.write_rows

    def counted_entry(archive, table, batches):
        def counted():
            for rows in batches:
                sizes["written"].append(len(rows))
                yield rows

        return write_entry(archive, table, counted())

    def counted_rows(connection, table, columns):
        sizes["read"].append(len(next(iter(columns.values()))))
        return write_rows(connection, table, columns)

    monkeypatch.setattr(moving, "write_entry", counted_entry)
    monkeypatch.setattr(moving, "write_rows", counted_rows)
    moving.export(filled, tmp_path / "f", batch=4)
    moving.import_(other, tmp_path / "f", batch=4)
    assert max(sizes["written"]) == max(sizes["read"]) == 4
    assert sum(sizes["written"]) == sum(sizes["read"])


@pytest.mark.parametrize("entry", ["scores.jsonl", "manifest.json"])
@pytest.mark.parametrize("bomb", [b" ", b"["])
def test_a_small_file_that_unpacks_to_a_large_one_is_refused_in_bounded_memory(
    path, other, entry, bomb, monkeypatch
):
    monkeypatch.setattr(archive, "MOST_LINE_BYTES", 1_000_000)
    edited(path, entry, lambda _: bomb * 30_000_000)
    tracemalloc.start()
    with pytest.raises(TransferError, match=r"results\.zip"):
        moving.import_(other, path)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 20_000_000
