"""`aemon kinds`: what may stand as `detector.kind`, and what each of them does."""

from aemon.cli.output import JsonOption, print_json
from aemon.cli.printed_tables import print_table


def kinds(as_json: JsonOption = False) -> None:
    """List the kinds of detector and what each of them does."""
    from aemon.operations.detector_listing import list_kinds

    listed = list_kinds()
    if as_json:
        print_json(listed)
    else:
        print_table(("kind", "what it does"), [(one.kind, one.summary) for one in listed])
