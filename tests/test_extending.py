"""The four steps of the page about the architecture, done with toys from outside the package.

A source from a package of its own is in `tests/sources/test_third_party.py`.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import numpy as np
import typer
from typer.testing import CliRunner

from aemon.cli.output import ConfigOption, JsonOption, open_installation, print_json
from aemon.config.detector_settings import DetectorSettings
from aemon.config.learning_settings import LearningSettings
from aemon.config.receiver_settings import ReceiverSettings
from aemon.config.threshold_settings import ThresholdSettings
from aemon.detection.autoencoders.autoencoder import Autoencoder
from aemon.detection.autoencoders.closed_form import as_layer, learn_members
from aemon.detection.autoencoders.kinds import detector_kinds
from aemon.detection.autoencoders.kinds.kind import Kind
from aemon.detection.features.outputs import Outputs
from aemon.detection.learning import train_detector
from aemon.errors import NotFoundError
from aemon.message import EXAMPLE
from aemon.notify.receivers import receiver_kinds
from aemon.notify.receivers.posted import Posted
from aemon.operations.installation import Installation
from tests.detection.conftest import frame_of, plant
from tests.documents import PAGES

NOW = datetime(2026, 11, 20, 9, tzinfo=UTC)


def mean_of_all(training_set, settings, seed, progress) -> Autoencoder:
    """Reconstruct every record as the mean of all: an autoencoder whose code says nothing."""
    features = training_set.features.shape[1]

    def solve(X, _) -> Autoencoder:  # noqa: N803
        return Autoencoder(
            weights=(as_layer(np.zeros((features, 1))), as_layer(np.zeros((1, features)))),
            biases=(as_layer(np.zeros(1)), as_layer(X.mean(axis=0))),
            activations=("linear", "linear"),
            encoder_layers=1,
            outputs=Outputs.linear(features),
        )

    return learn_members(training_set, solve, progress)


def test_a_kind_of_detector_is_a_function_and_a_line(monkeypatch):
    toy = Kind(summary="the mean of all records", learn=mean_of_all, hidden_layers=False)
    monkeypatch.setitem(detector_kinds.KINDS, "toy", toy)
    settings = LearningSettings(
        detector=DetectorSettings().model_copy(update={"kind": "toy"}),
        threshold=ThresholdSettings(false_alarm_rate=0.01),
    )
    detector = train_detector(frame_of(plant(600, seed=1)), settings, seed=0)
    far = plant(1, seed=3)
    far["flow"] = 1e4
    assert detector.judge(frame_of(far)).anomalous.all()
    assert detector.judge(frame_of(plant(600, seed=2))).anomalous.mean() < 0.1


class ToySettings(ReceiverSettings):
    """A board that shows the number of the newest episode."""

    kind: Literal["toy"]


class Toy(Posted[ToySettings]):
    """Sends the number alone."""

    __slots__ = ()

    def payload(self, message, now) -> bytes:
        return json.dumps({"show": message.episode}).encode()


def test_a_receiver_is_settings_a_class_and_a_line(monkeypatch):
    monkeypatch.setitem(receiver_kinds._KINDS, ToySettings, Toy)
    receiver = receiver_kinds.receiver_of(ToySettings(kind="toy", url="http://board.example/show"))
    assert json.loads(receiver.payload(EXAMPLE, NOW)) == {"show": EXAMPLE.episode}
    assert receiver.address == "http://board.example/show"
    assert receiver.resends is None


@dataclass(frozen=True)
class Paused:
    """A monitor and its pause between runs, in seconds."""

    monitor: str
    seconds: float


def pause_of(installation: Installation, name: str) -> Paused:
    """Return how often a monitor is scored.

    Raises:
        NotFoundError: there is no such monitor.
    """
    if name not in installation.config.monitors:
        raise NotFoundError(f"there is no monitor {name}", todo="`aemon status` lists all")
    return Paused(name, installation.config.monitors[name].score_every.total_seconds())


def test_an_operation_is_a_function_and_a_command(tmp_path):
    app = typer.Typer()

    @app.command()
    def pause(name: str, config: ConfigOption, as_json: JsonOption = False) -> None:
        with open_installation(config) as installation:
            found = pause_of(installation, name)
        if as_json:
            print_json(found)
        else:
            typer.echo(f"{found.monitor}: every {found.seconds:g} s")

    path = tmp_path / "aemon.yaml"
    path.write_text("monitors: {here: {source: {kind: host}, score_every: 30s}}")
    run = CliRunner().invoke
    assert run(app, ["here", "--config", str(path)]).output == "here: every 30 s\n"
    found = json.loads(run(app, ["here", "--config", str(path), "--json"]).output)
    assert found == {"monitor": "here", "seconds": 30.0}
    assert isinstance(run(app, ["there", "--config", str(path)]).exception, NotFoundError)


def test_the_page_has_four_steps_for_each():
    page = PAGES["architecture"]
    for what in ("a source", "a kind of detector", "a receiver", "an operation"):
        section = page.split(f"### Add {what}\n")[1].split("###")[0]
        assert [line[:2] for line in section.splitlines() if line[:1].isdigit()] == [
            "1.", "2.", "3.", "4.",
        ]  # fmt: skip
