"""Walk with a frame from fetch to commit: which modules it enters, and how often it comes back.

`python tests/walk_of_a_frame.py` scores one chunk of records, an anomaly among them, and notes each
function of aemon that is handed the frame, or what it has become, at its first call. A stay is a
run of such calls within one module, a return a stay in a module that was left before.
"""

import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from aemon.config.schema import MonitorSettings  # noqa: E402
from aemon.lifecycle.training_run import train_once  # noqa: E402
from aemon.monitoring.monitor import Monitor  # noqa: E402
from aemon.run import Run, Stop  # noqa: E402
from aemon.store.engine import open_engine  # noqa: E402
from aemon.store.schema import revisions  # noqa: E402
from aemon.store.store import Store  # noqa: E402
from tests import readings  # noqa: E402
from tests.processes import insert, make_table  # noqa: E402

PACKAGE = str(ROOT / "aemon") + "/"
FORMS = {
    "DataFrame", "Series", "Fetched", "Read", "Frame", "RecordCells", "Seen", "Look", "Judgement",
    "Judged", "VerdictRows",
}  # fmt: skip


def carries(value: object) -> bool:
    """Whether a value is the frame in one of its forms: a table, features (N, F), verdicts."""
    return type(value).__name__ in FORMS or (
        type(value).__name__ == "ndarray" and value.ndim == 2  # type: ignore[attr-defined]
    )


def stays_of(work: Callable[[], object]) -> list[str]:
    """The modules that work goes through, each function of theirs met once."""
    seen: set[object] = set()
    stays: list[str] = []

    def note(frame, event, _argument) -> None:
        code = frame.f_code
        if event != "call" or code in seen or not code.co_filename.startswith(PACKAGE):
            return
        arguments = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        # What a form is asked of itself, such as which rows are to be judged, is no way.
        if not any(carries(frame.f_locals.get(name)) for name in arguments if name != "self"):
            return
        seen.add(code)
        module = code.co_filename.removeprefix(PACKAGE)
        if not stays or stays[-1] != module:
            stays.append(module)

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return stays


def monitor_in(folder: Path) -> Monitor:
    """A monitor with a trained detector, 40 new records and an odd one."""
    plant = folder / "plant.db"
    make_table(plant, "readings", ["ts TEXT", *readings.COLUMNS])
    insert(plant, "readings", readings.rows(200))
    settings = MonitorSettings.model_validate(
        {
            "source": {
                "kind": "sql", "url": f"sqlite:///{plant}", "table": "readings",
                "time": "ts", "key": "id",
            },
            "score_every": "1s", "min_records": 200, "detector": {"steps": 60, "members": 1},
            "threshold": {"false_alarm_rate": 0.01},
        }
    )  # fmt: skip
    engine = open_engine(f"sqlite:///{folder}/aemon.db")
    revisions.prepare(engine)
    store = Store(engine, lambda: datetime(2026, 3, 1, 12, tzinfo=UTC))
    store.add_monitors(["pumps"])
    train_once("pumps", settings, store, store.now)
    insert(plant, "readings", readings.rows(40, first=200))
    insert(plant, "readings", [(999, "2026-01-01T00:05:00+00:00", 9.0, 2.2, 0.8)])
    return Monitor("pumps", settings, store, store.now)


def main() -> None:
    """Print the walk, as modules and as rooms: the folders of the map."""
    with tempfile.TemporaryDirectory() as folder:
        monitor = monitor_in(Path(folder))
        stays = stays_of(lambda: monitor.score_once(Run(), Stop()))
        monitor.close()
    rooms = [stay.rsplit("/", 1)[0] for stay in stays]
    rooms = [room for place, room in enumerate(rooms) if not place or rooms[place - 1] != room]
    for what, walk in (("modules", stays), ("rooms", rooms)):
        print(f"{len(set(walk))} {what}, {len(walk) - len(set(walk))} returns")
    print(" > ".join(stays))


if __name__ == "__main__":
    main()
