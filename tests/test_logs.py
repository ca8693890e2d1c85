"""Logs: one line an event, for people or for machines."""

import json
import logging
import sys

import pytest

from aemon.logs import JsonFormatter, TextFormatter, log, set_up_logs


@pytest.fixture
def record():
    records = []
    logger = logging.getLogger("aemon.test")
    handler = logging.Handler()
    handler.emit = records.append
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    log(logger, logging.WARNING, "score.failed", "no such table", monitor="pumps", seconds=0.12345)
    logger.removeHandler(handler)
    return records[0]


def test_text_is_one_line_with_action_and_fields(record):
    text = TextFormatter().format(record)
    assert "\n" not in text
    assert text.endswith("warning score.failed no such table monitor=pumps seconds=0.1235")


def test_what_has_several_lines_is_told_in_one(record):
    record.msg, record.note = "line 5: wrong\nline 7: wrong, too", "two\nlines"
    text = TextFormatter().format(record)
    assert "score.failed line 5: wrong; line 7: wrong, too monitor" in text
    assert text.endswith('note="two\\nlines"')


def test_json_is_one_object(record):
    entry = json.loads(JsonFormatter().format(record))
    assert entry["action"] == "score.failed"
    assert entry["message"] == "no such table"
    assert (entry["monitor"], entry["level"]) == ("pumps", "warning")


def test_a_traceback_is_kept():
    error = ValueError("boom")
    cause = (ValueError, error, None)
    broken = logging.makeLogRecord({"exc_info": cause, "msg": "", "action": "x"})
    assert "ValueError: boom" in TextFormatter().format(broken)
    assert "ValueError: boom" in json.loads(JsonFormatter().format(broken))["traceback"]


def test_libraries_speak_from_warnings_on(capsys):
    before = logging.getLogger().handlers[:], logging.getLogger().level
    try:
        set_up_logs("info", "text")
        logging.getLogger("sqlalchemy").info("chatter")
        logging.getLogger("aemon.x").info("news", extra={"action": "started"})
    finally:
        logging.getLogger().handlers[:], level = before
        logging.getLogger().setLevel(level)
        logging.getLogger("aemon").setLevel(logging.NOTSET)
        logging.getLogger("apscheduler").setLevel(logging.NOTSET)
    printed = capsys.readouterr().err
    assert "chatter" not in printed
    assert "info started news" in printed


@pytest.mark.parametrize(
    "odd", ["\x1b[2J", "\x1b]0;title\x07", "\u202e", "\u2066", "\u200f", "\x9b31m", "\r", "\x7f"]
)
def test_text_cannot_move_the_cursor_or_turn_letters_round(record, odd):
    record.msg = f"no such table {odd} here"
    record.monitor = f"pumps{odd}"
    try:
        float(odd)
    except ValueError:
        record.exc_info = sys.exc_info()
    told = TextFormatter().format(record)
    assert odd not in told
    assert "Traceback" in told
    assert "\n" in told
    assert all(letter.isprintable() or letter == "\n" for letter in told)
    assert odd not in JsonFormatter().format(record)
