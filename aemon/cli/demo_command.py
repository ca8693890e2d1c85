"""`aemon demo`: aemon on a simulated plant and on this machine, in two minutes."""

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from aemon.cli.output import JsonOption, print_json
from aemon.demo.demo_sources import DemoSource


def demo(
    seconds: Annotated[
        float | None, typer.Option(min=1, help="End after this many seconds.")
    ] = None,
    folder: Annotated[
        Path | None, typer.Option(help="Keep the demo's files here; by default they are removed.")
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed makes the same plant.")] = 7,
    source: Annotated[
        DemoSource,
        typer.Option(
            help="From where aemon reads the plant: a table, a broker (mosquitto), or Prometheus."
        ),
    ] = DemoSource.SQL,
    as_json: JsonOption = False,
) -> None:
    """Watch a simulated plant and this machine: train, flag planted faults, show reasons.

    Ends with Ctrl-C, or after --seconds. Then prints which faults were
    planted, flagged and missed, and the false alarms.
    """
    from aemon.demo.session import prepare_demo, run_demo

    with ExitStack() as stack:
        if folder is None:
            temporary = stack.enter_context(tempfile.TemporaryDirectory(prefix="aemon-demo-"))
            folder = Path(temporary)
        files, screen = prepare_demo(folder, source)
        screen.note(f"files in {folder}; the configuration is {files.config}")
        result = run_demo(folder, screen, files, seed=seed, seconds=seconds)
        if as_json:
            print_json(result.as_dict())
        else:
            screen.show_score_card(result.card)
            screen.note(
                f"host: {result.host_flagged} of {result.host_scored} records flagged; "
                "no faults were planted there"
            )
