"""`aemon kinds`: what may stand as `detector.kind`, and what each of them does."""

from aemon.cli.output import JsonOption, print_json
from aemon.cli.printed_tables import print_table


def kinds(as_json: JsonOption = False) -> None:
    """List the kinds of detector and what each of them does."""
    from aemon.detection.autoencoders.kinds.detector_kinds import KINDS

    if as_json:
        print_json([{"kind": name, "summary": kind.summary} for name, kind in KINDS.items()])
    else:
        print_table(
            ("kind", "what it does"), [(name, kind.summary) for name, kind in KINDS.items()]
        )
