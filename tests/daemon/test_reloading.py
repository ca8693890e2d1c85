"""What a changed configuration means for a daemon that runs."""

from aemon.config.schema import Config
from aemon.daemon.reloading import compare

MONITORS = {"here": {"source": {"kind": "host"}, "score_every": "30s"}}


def config(**http) -> Config:
    return Config.model_validate({"monitors": MONITORS, "http": http})


def test_where_it_listens_takes_a_restart():
    change = compare(config(), config(listen="127.0.0.1:9999"))
    assert str(change) == "http changed, which needs a restart"


def test_what_the_command_line_shows_to_it_is_nothing_to_the_daemon():
    assert not compare(config(), config(client={"token": "a"}))


def test_how_many_trainings_go_on_at_once_takes_a_restart():
    more = Config.model_validate({"monitors": MONITORS, "trainings_at_once": 2})
    assert str(compare(config(), more)) == "trainings_at_once changed, which needs a restart"
