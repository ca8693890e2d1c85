"""Counts the judged records of a run, without reading from or writing to the store."""

from collections import Counter

import numpy as np

from aemon.monitoring.judged import Judged
from aemon.records import Verdict
from aemon.run_report import RunCounts
from aemon.store.verdicts import Saved


def counts_of(judged: Judged, saved: Saved, *, by_entity: bool) -> RunCounts:
    """Return the counts of N judged records.

    A record that is already stored unchanged counts only as reviewed or as rejected.

    Args:
        judged: the records.
        saved: masks (N,) of the records that are new, changed or newly flagged.
        by_entity: whether the counts include each entity's largest exceedance.
    """
    judgement = judged.judgement
    flagged = np.flatnonzero(saved.flagged)
    present = judgement.exceedances[~judgement.unjudged]
    unchanged = int((~saved.fresh & ~saved.revised).sum())
    read = (
        RunCounts(records_read=len(judged.frame) - unchanged, records_reviewed=unchanged)
        if judged.behind
        else RunCounts(rejected={"duplicate_key": unchanged})
    )
    return read + RunCounts(
        records_scored=int(saved.fresh.sum()),
        records_revised=int(saved.revised.sum()),
        records_absent=int((judgement.absent & saved.fresh).sum()),
        records_idle=int((judgement.verdicts == Verdict.IDLE)[saved.fresh | saved.revised].sum()),
        records_undecided=judgement.undecided,
        records_late=int((judged.late & saved.fresh).sum()),
        cells_imputed=judgement.cells_imputed,
        exceedances=tuple(judgement.exceedances[flagged].tolist()),
        critical=int(judgement.critical[flagged].sum()),
        suppressed=Counter(
            reason.value for row, reason in judgement.quiet.items() if saved.suppressed[row]
        ),
        largest_exceedance=float(present.max()) if len(present) else None,
        unreadable={each.column: each for each in judgement.unreadable},
        by_entity=_largest_by_entity(judged) if by_entity else {},
    )


def _largest_by_entity(judged: Judged) -> dict[str, float]:
    rows = np.flatnonzero(~judged.judgement.unjudged)
    exceedances = judged.judgement.exceedances[rows].tolist()
    largest: dict[str, float] = {}
    for row, exceedance in zip(rows.tolist(), exceedances, strict=True):
        entity = judged.frame.entities[row]
        largest[entity] = max(largest.get(entity, 0.0), exceedance)
    return largest
