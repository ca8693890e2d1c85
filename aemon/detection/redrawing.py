"""Lines for changed threshold settings, drawn from the calibration scores that lines keep."""

from aemon.config.threshold import ThresholdSettings
from aemon.detection.lines import Lines
from aemon.detection.threshold import Threshold, calibrate, records_to_show


def redraw(
    lines: Lines, settings: ThresholdSettings, rate: float, *, entities: int = 1
) -> Lines | None:
    """The lines that a training with these settings would have drawn from the same scores.

    None where only a training can tell: where the scores kept are not all there were, or where
    entities might get lines of their own whose scores nobody kept apart.

    Args:
        lines: as drawn at training; the ones in force may have moved since.
        settings: the new ones.
        rate: the new promise, `false_alarm_rate_for(settings, ...)`.
        entities: how many the detector knows.
    """
    apart = settings.per_entity and settings.method != "fixed"
    own = lines.own if apart else {}
    if any(line.records > len(line.kept) for line in (lines.pooled, *own.values())):
        return None
    rarer = bool(own) and rate <= lines.pooled.false_alarm_rate
    if apart and len(own) < entities and entities > 1 and not rarer:
        return None

    def line(old: Threshold) -> Threshold:
        return calibrate(
            old.kept,
            rate,
            method=settings.method,
            value=settings.value,
            critical_rate=settings.critical_rate,
            independent=old.independent,
        )

    enough = records_to_show(rate)
    return Lines(
        pooled=line(lines.pooled),
        own={name: line(old) for name, old in own.items() if old.records >= enough},
        batch_fdr=settings.batch_fdr,
    )
