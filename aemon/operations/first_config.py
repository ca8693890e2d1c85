"""Writes a first configuration, guessed from the contents of a source."""

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from aemon.clock import format_duration
from aemon.errors import ConfigError
from aemon.sources.file_systems.opening import FilePath, close_path, open_address
from aemon.sources.file_systems.settings import PACKAGES
from aemon.sources.guesses import Guess, Guesses

_SQLITE = b"SQLite format 3\x00"
_BROKERS = {"mqtt", "mqtts"}
_WITH_SECRETS = {"url", "password"}  # keys whose values may refer to the environment
_MOST_LEFT = 20  # names of unwatched tables, files or jobs in a comment
LISTEN_SECONDS = 10.0


def write_config(place: str, listen_seconds: float = LISTEN_SECONDS) -> str:
    """Return the text of a configuration for a source; comments give the reasons of the guesses.

    Args:
        place: the URL of a Prometheus or a database; the path or the address (s3://, sftp://) of
            CSV or Parquet files; the path of a SQLite file; or `mqtt://host[:port]/topic-filter`.
        listen_seconds: time to listen to an MQTT broker, in seconds.

    Raises:
        SourceError: the source cannot be reached at the moment.
        SourceConfigError: the source has nothing to watch.
        ConfigError: there is no such file or folder.
    """
    return "\n".join(_lines(_look_at(place, listen_seconds), _shown(place)))


def _look_at(place: str, listen_seconds: float) -> Guesses:
    scheme = urlsplit(place).scheme if "://" in place else ""
    if scheme in _BROKERS:
        from aemon.sources.mqtt.guessing import guess_topics

        return guess_topics(place, listen_seconds)
    if scheme in {"http", "https"}:
        from aemon.sources.prometheus.guessing import guess_jobs

        return guess_jobs(place)
    if scheme in PACKAGES:
        found = open_address(place, {})
        try:
            return _look_at_files(found)
        finally:
            close_path(found)
    path = Path(place)
    if not scheme and not path.exists() and not any(mark in place for mark in "*?["):
        raise ConfigError(
            f"{place}: no such file or folder",
            todo="name a file, or a URL: http://prometheus:9090, postgresql://host/database",
        )
    if scheme or _is_sqlite(path):
        from aemon.sources.sql.guessing import guess_tables

        return guess_tables(place if scheme else f"sqlite:///{place}")
    return _look_at_files(path)


def _look_at_files(path: FilePath) -> Guesses:
    from aemon.sources.parquet.guessing import holds_parquet

    if holds_parquet(path):
        from aemon.sources.parquet.guessing import guess_files as guess_parquet_files

        return guess_parquet_files(path)
    from aemon.sources.csv.guessing import guess_files

    return guess_files(path)


def _is_sqlite(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(_SQLITE)) == _SQLITE
    except OSError:
        return False


def _shown(place: str) -> str:
    """Return a place without its user and query, because these may contain a password."""
    if "://" not in place:
        return place
    parts = urlsplit(place)
    if parts.scheme in _BROKERS:  # a topic filter may hold #
        return f"{parts.scheme}://{place.partition('://')[2].rpartition('@')[2]}"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _lines(guesses: Guesses, place: str) -> Iterator[str]:
    yield f"# Written by `aemon init --from {place}`. A comment after a key gives the reason of a guess."
    yield "# Correct the guesses that are wrong, then run `aemon check`. `aemon init` without --from lists every key."
    yield ""
    yield "store: sqlite:///aemon.db # results; or postgresql://..."
    yield "http: {listen: 127.0.0.1:9464} # metrics, health and the status page"
    yield "monitors:"
    for guess in guesses.monitors:
        yield from _monitor(guess)
    if guesses.left:
        more = len(guesses.left) - _MOST_LEFT
        names = ", ".join(guesses.left[:_MOST_LEFT]) + (f" and {more} more" if more > 0 else "")
        yield f"# Found, but not watched: {_on_one_line(names)}"
    yield ""


def _monitor(guess: Guess) -> Iterator[str]:
    for note in guess.notes:
        yield f"  # {_on_one_line(note)}"
    yield f"  {guess.monitor}:"
    yield "    source:"
    for key, value in guess.source.items():
        if isinstance(value, dict):
            yield f"      {key}:{_why(guess, key)}"
            for name, text in value.items():
                yield f"        {_as_yaml(name)}: {_escaped(text)}"
            continue
        text = _as_yaml(value) if key in _WITH_SECRETS else _escaped(value)
        yield f"      {key}: {text}{_why(guess, key)}"
    yield f"    score_every: {format_duration(guess.score_every)}{_why(guess, 'score_every')}"
    if guess.exclude:
        names = ", ".join(_escaped(name) for name in guess.exclude)
        yield f"    columns: {{exclude: [{names}]}} # named like labels, which must not be learned"


def _why(guess: Guess, key: str) -> str:
    reason = guess.because.get(key, "")
    return f" # {_on_one_line(reason)}" if reason else ""


def _escaped(value: object) -> str:
    """Return a value as YAML; `${` is escaped, so that no part refers to the environment."""
    return _as_yaml(value).replace("${", "$${")


def _as_yaml(value: object) -> str:
    """Return a value as one line of YAML.

    Text is in quotes, unless YAML reads the same text without quotes.
    """
    import yaml

    if isinstance(value, str):
        plain = value if value and value == value.strip() and " #" not in value else ""
        if plain and ": " not in plain and not plain.endswith(":"):
            try:
                if yaml.safe_load(f"k: {plain}") == {"k": value}:
                    return plain
            except yaml.YAMLError:
                pass
    return json.dumps(value, ensure_ascii=False)


def _on_one_line(text: str) -> str:
    return "".join(letter for letter in " ".join(text.split()) if letter.isprintable())
