"""Every operation runs on a real store, returns a frozen result, and that goes to JSON."""

import importlib
import inspect
import json
import pkgutil
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, is_dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from aemon import operations
from aemon.clock import utc_now
from aemon.config.schema import Config
from aemon.daemon.once import score_monitors
from aemon.operations.installation import Installation
from aemon.operations.json_form import to_json
from aemon.operations.lists.episode_pages import EpisodeChoice
from aemon.operations.lists.ledger_pages import Happened
from aemon.operations.lists.record_pages import RecordsWanted
from aemon.operations.lists.series_views import SeriesWanted
from aemon.operations.training_by_hand import train_detector
from aemon.operations.views.recent_exceedances import RecentExceedances
from aemon.records import FeedbackVerdict
from aemon.store.schema.tables import anomalies, episodes, notifications
from aemon.testing.http_receiver import receiving
from tests import readings
from tests.processes import insert, make_table
from tests.readings import LEARNED

FOUNDATIONS = {
    "first_look", "installation", "json_form", "lists", "lists.pages", "lists.row_forms",
    "newest_records", "reporting", "reporting.pictures", "reporting.report_page",
}  # fmt: skip
"""Modules of the package that operations stand on; all others hold operations."""

NEED_NO_INSTALLATION = {
    "find_page",
    "hash_password",
    "list_kinds",
    "list_sources",
    "make_token",
    "search_pages",
    "write_config",
}
MOST_PARAMETERS = 6
FAULT, EPISODE, DEAD = "5000", 41, 7  # a record's key, an episode's and a notification's number
NOW = datetime(2026, 1, 3, tzinfo=UTC)


@dataclass
class World:
    """An installation with results in it, and a folder for files."""

    installation: Installation
    folder: Path


Arguments = dict[str, Any]
Call = Callable[[World], tuple[Installation | None, Arguments]]
"""What an operation is called on, and with what; made for the world of one test."""


def operation_modules() -> list[str]:
    root = "aemon.operations."
    names = [module.name for module in pkgutil.walk_packages(operations.__path__, root)]
    return [name for name in names if name.removeprefix(root) not in FOUNDATIONS]


def every_operation() -> dict[str, Callable[..., Any]]:
    """Name -> operation: the public functions of the package."""
    return {
        name: function
        for module in operation_modules()
        for name, function in inspect.getmembers(importlib.import_module(module))
        if inspect.isfunction(function)
        and function.__module__ == module
        and not name.startswith("_")
    }


OPERATIONS = every_operation()


def _file(folder: Path) -> Path:
    path = folder / "records.csv"
    path.write_text("ts,flow\n2026-03-01T10:00:00Z,1\n2026-03-01T10:00:10Z,2\n")
    return path


def on(**arguments: Any) -> Call:
    """Call an operation on the installation that has results, with these arguments."""
    return lambda world: (world.installation, arguments)


def listed(**conditions: Any) -> Call:
    """Call the operation of a list for its first page, with one row."""
    return on(**conditions, limit=1)


def stated(**said: Any) -> Call:
    from aemon.operations.giving_feedback import Statement

    return on(monitor="pumps", statement=Statement(**said))


def in_file(name: str, **arguments: Any) -> Call:
    return lambda world: (world.installation, {"file": world.folder / name, **arguments})


def codes(world: World) -> tuple[Installation, Arguments]:
    from aemon.operations.code_export import RecordChoice

    file = world.folder / "codes.parquet"
    return world.installation, {"monitor": "pumps", "file": file, "choice": RecordChoice(count=9)}


def daemon(world: World) -> tuple[Installation, Arguments]:
    from aemon.operations.status_report import DaemonState, Health

    state = DaemonState(
        started_at=NOW,
        replica="here",
        replicas=1,
        held={"pumps"},
        wanted={"pumps": LEARNED},
        health=Health(started=True, alive=True, heartbeat_age_seconds=1.0),
        config_refused="",
    )
    return world.installation, {"daemon": state}


def shown(**arguments: Any) -> Call:
    """Call the operation of a page with the status of a daemon."""

    def called(world: World) -> tuple[Installation, Arguments]:
        from aemon.operations.status_report import status_page

        installation, state = daemon(world)
        return installation, {"status": status_page(installation, **state), **arguments}

    return called


def empty_store(world: World) -> Installation:
    url = f"sqlite:///{world.folder}/new.db"
    return Installation(Config.model_validate({**settings_of(world), "store": url}))


def imported(world: World) -> tuple[Installation, Arguments]:
    from aemon.operations.store_upkeep import export_results

    file = world.folder / "results.zip"
    export_results(world.installation, file)
    return empty_store(world), {"file": file}


def snoozed(world: World) -> tuple[Installation, Arguments]:
    from aemon.operations.snoozing import snooze_anomalies

    made = snooze_anomalies(world.installation, "pumps", lasts=timedelta(hours=1))
    return world.installation, {"number": made.id}


CALLS: dict[str, Call] = {
    "acknowledge_episode": on(number=EPISODE, note="seen"),
    "alert_rules": on(with_tests=True),
    "audit_page": listed(happened=Happened()),
    "check_monitor": on(monitor="pumps"),
    "check_schema": on(),
    "check_store": on(),
    "close_episode": on(number=EPISODE),
    "compare_detectors": on(version=1, records=100),
    "contribution_page": listed(wanted=RecordsWanted()),
    "detector_page": on(limit=1),
    "detector_report": on(monitor="pumps", version=1),
    "end_snooze": snoozed,
    "configuration_text": on(monitor="pumps"),
    "entity_lanes": on(name="pumps", span=timedelta(days=300)),
    "episode_page_of": on(number=EPISODE),
    "monitor_page_of": shown(name="pumps"),
    "overview_of": shown(recent=RecentExceedances()),
    "episode_page": listed(choice=EpisodeChoice(monitor="pumps")),
    "explain_record": on(monitor="pumps", record_key=FAULT),
    "export_codes": codes,
    "export_results": in_file("all.zip"),
    "feedback_page": listed(happened=Happened()),
    "find_episode": on(number=EPISODE),
    "flagged_page": listed(wanted=RecordsWanted(monitor="pumps")),
    "give_feedback": stated(verdict=FeedbackVerdict.FALSE_ALARM, record=FAULT),
    "hash_password": lambda _world: (None, {"user": "alice", "password": "open sesame"}),
    "import_results": imported,
    "label_episode": on(number=EPISODE, label="stuck sensor"),
    "list_detectors": on(),
    "list_episodes": on(monitor="pumps"),
    "list_feedback": on(monitor="pumps"),
    "list_flagged_records": on(monitor="pumps"),
    "find_page": lambda _world: (None, {"topic": "sql"}),
    "search_pages": lambda _world: (None, {"word": "threshold"}),
    "list_kinds": lambda _world: (None, {}),
    "list_sources": lambda _world: (None, {}),
    "write_config": lambda world: (None, {"place": str(_file(world.folder))}),
    "list_notifications": on(dead=True),
    "list_snoozes": on(ended=True),
    "list_rejected_records": on(monitor="pumps"),
    "make_token": lambda _world: (None, {"name": "prometheus"}),
    "monitor_page": on(limit=1),
    "promote_detector": on(version=1),
    "prune_results": on(dry_run=True),
    "rebuild_detector": on(version=1),
    "rejected_page": listed(happened=Happened()),
    "retry_notifications": on(number=DEAD),
    "roll_back_detector": on(),
    "run_page": listed(happened=Happened(monitor="pumps")),
    "schema_revision": on(),
    "make_report": on(monitor="pumps"),
    "score_lanes": on(wanted=SeriesWanted(monitor="pumps")),
    "score_series": on(wanted=SeriesWanted(monitor="pumps")),
    "score_page": listed(wanted=RecordsWanted()),
    "show_detector": on(version=2),
    "show_episode": on(number=EPISODE),
    "show_monitor": on(name="pumps"),
    "snooze_page": listed(happened=Happened(), ended=True),
    "snooze_anomalies": on(monitor="pumps", lasts=timedelta(hours=2)),
    "status_page": daemon,
    "stored_status": on(),
    "try_receivers": on(),
    "train_detector": on(monitor="pumps"),
    "tune_detector": on(monitor="pumps", seconds=0, records=LEARNED),
    "upgrade_schema": lambda world: (empty_store(world), {}),
}
"""Name of an operation -> what it is called on, and with which arguments."""


def settings_of(world: World) -> dict[str, Any]:
    return world.installation.config.model_dump(exclude_unset=True)


def configured(folder: Path, plant: Path, receiver: str) -> Config:
    source = {
        "kind": "sql", "url": f"sqlite:///{plant}/plant.db", "table": "readings", "time": "ts",
        "key": "id",
    }  # fmt: skip
    pumps = {
        "source": source, "score_every": "1s", "min_records": LEARNED,
        "detector": {"kind": "linear", "members": 1}, "threshold": {"false_alarm_rate": 0.01},
    }  # fmt: skip
    return Config.model_validate(
        {
            "store": f"sqlite:///{folder}/aemon.db",
            "notify": {"ops": {"kind": "webhook", "url": receiver}},
            "monitors": {"pumps": pumps},
        }
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A folder with a store: two detectors, a flagged record, an episode and a dead letter."""
    folder: Path = tmp_path_factory.mktemp("made")
    make_table(folder / "plant.db", "readings", ["ts TEXT", *readings.COLUMNS])
    insert(folder / "plant.db", "readings", readings.rows(LEARNED))
    config = configured(folder, folder, "http://127.0.0.1:9/hook")
    with Installation(config) as installation:
        train_detector(installation, "pumps")
        insert(folder / "plant.db", "readings", readings.rows(100, first=LEARNED))
        fault = (5000, "2026-01-01T01:00:00+00:00", 9.0, 2.2, 0.8)
        insert(folder / "plant.db", "readings", [fault])
        score_monitors(config.monitors, installation.store)
        train_detector(installation, "pumps")
        with installation.store.writing() as connection:
            write_an_episode(connection)
    return folder


def write_an_episode(connection: sa.Connection) -> None:
    """Write an open episode of the flagged record, and its notification that was given up."""
    now = utc_now()
    episode = {
        "id": EPISODE, "monitor": "pumps", "entity": "", "state": "open", "severity": "warning",
        "started_at": now, "ended_at": now, "records": 1, "peak_exceedance": 2.0,
        "peak_record_key": FAULT, "feature": "flow", "blame": {"flow": 1.0}, "calm_records": 0,
        "updated_at": now, "opened_at": now,
    }  # fmt: skip
    notification = {
        "id": DEAD, "monitor": "pumps", "episode_id": EPISODE, "receiver": "ops",
        "severity": "warning", "created_at": now, "due_at": now, "event": "opened",
        "state": "dead", "attempts": 3, "status": 404, "last_error": "HTTP 404: no such hook",
    }  # fmt: skip
    connection.execute(sa.insert(episodes).values(episode))
    connection.execute(sa.insert(notifications).values(notification))
    mine = sa.update(anomalies).where(anomalies.c.record_key == FAULT)
    connection.execute(mine.values(episode_id=EPISODE))


@pytest.fixture
def world(made, tmp_path):
    """A copy of the store that a test may change, and a receiver that listens."""
    shutil.copy(made / "aemon.db", tmp_path / "aemon.db")
    with (
        receiving() as receiver,
        Installation(configured(tmp_path, made, receiver.url)) as installation,
    ):
        yield World(installation, tmp_path)


def call(name: str, world: World) -> Any:
    installation, arguments = CALLS[name](world)
    on_what = () if installation is None else (installation,)
    return OPERATIONS[name](*on_what, **arguments)


def is_frozen(result: Any) -> bool:
    if isinstance(result, tuple):
        return all(is_frozen(each) for each in result)
    if is_dataclass(result):
        return bool(type(result).__dataclass_params__.frozen)
    return result is None or isinstance(result, bool | int | float | str)


def no_json(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


def test_no_operation_is_forgotten():
    assert sorted(CALLS) == sorted(OPERATIONS)


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_an_operation_returns_a_frozen_result_that_goes_to_json(name, world):
    result = call(name, world)
    assert result is not None
    assert is_frozen(result)
    json.loads(to_json(result), parse_constant=no_json)


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_an_operation_takes_the_installation_first_and_few_more(name):
    parameters = list(inspect.signature(OPERATIONS[name]).parameters)
    assert parameters[:1] == ["installation"] or name in NEED_NO_INSTALLATION
    assert len(parameters) <= MOST_PARAMETERS


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_an_operation_says_what_it_does_by_a_verb(name):
    first = (inspect.getdoc(OPERATIONS[name]) or "").split()[0]
    assert first.istitle()
    assert first.lower() not in {"a", "an", "the", "what", "whether"}


def test_operations_load_neither_the_command_line_nor_the_web():
    code = (
        f"import importlib, sys\nfor name in {operation_modules()!r}: importlib.import_module(name)\n"
        "print([m for m in ('typer', 'rich', 'starlette', 'torch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
