"""Verdicts saved as a run saves them: in one commit, with a ledger row."""

from dataclasses import dataclass
from datetime import UTC, datetime

from aemon.records import Job, Outcome, Watermark
from aemon.run_report import RunCounts, RunReport
from aemon.store.ledger import note_progress
from aemon.store.store import Mark, Store
from aemon.store.verdicts import Saved, VerdictRows, compare_verdicts, save_verdicts

BEGAN = datetime(2026, 3, 1, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Committed:
    """What became of the verdicts, where the monitor stands, and the run's row in the ledger."""

    saved: Saved
    mark: Mark
    run_id: int

    def __getattr__(self, name):
        return getattr(self.saved, name)


def save_all(
    store: Store,
    monitor: str,
    rows: VerdictRows,
    mark: Mark,
    to: Watermark,
    *,
    run_id: int | None = None,
    settled: Watermark | None = None,
    again: bool = False,
    keep: float = 1.0,
    episodes=None,
    before_commit=lambda: None,
) -> Committed:
    """Commit verdicts, watermark and a ledger that counts nothing but what is fresh or revised."""
    with store.commit(monitor, mark, to, settled) as commit:
        saved = compare_verdicts(commit, rows, again=again)
        report = RunReport(
            monitor=monitor,
            job=Job.SCORE,
            outcome=Outcome.RUNNING,
            started_at=BEGAN,
            finished_at=BEGAN,
            counts=RunCounts(
                records_scored=int(saved.fresh.sum()), records_revised=int(saved.revised.sum())
            ),
        )
        run_id = note_progress(commit.connection, run_id, report)
        members = episodes(commit.connection, saved) if episodes is not None else {}
        save_verdicts(commit, rows, saved, run_id=run_id, episodes=members, keep=keep)
        before_commit()
    return Committed(saved, commit.mark, run_id)
