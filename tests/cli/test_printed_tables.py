"""Tables: within the terminal's width, nothing broken that belongs together."""

import pytest

from aemon.cli import printed_tables

WIDTH = 80
SENTENCE = "flow was 9.0, but 4.2 was expected; " * 5


@pytest.fixture
def printed(capsys, monkeypatch):
    """What a call prints on a terminal of so many columns, as lines."""

    def printed(call, *arguments, width=WIDTH, **options):
        monkeypatch.setenv("COLUMNS", str(width))
        call(*arguments, **options)
        lines = capsys.readouterr().out.splitlines()
        assert all(len(line) <= width for line in lines), lines
        return lines

    return printed


def test_columns_stand_under_their_headings_and_numbers_to_the_right(printed):
    lines = printed(
        printed_tables.print_table, ("name", "count", "over"), [("a", 7, "1.5x"), ("bb", 10, "")]
    )
    assert lines == ["name  count  over", "a         7  1.5x", "bb       10"]


def test_no_rows_print_nothing(printed):
    assert printed(printed_tables.print_table, ("name", "count"), []) == []


def test_a_note_stands_below_its_row(printed):
    lines = printed(
        printed_tables.print_table,
        ("outcome", "read"),
        [("collecting", 1), ("ok", 2)],
        notes=[SENTENCE, ""],
    )
    assert lines[1].startswith("collecting")
    assert lines[2].startswith("  flow was 9.0")
    assert " ".join(line.strip() for line in lines[2:-1]) == SENTENCE.strip()
    assert lines[-1].split() == ["ok", "2"]


def test_a_last_column_of_words_is_wrapped_in_its_place(printed):
    lines = printed(printed_tables.print_table, ("column", "why"), [("flow", SENTENCE)])
    assert len(lines) > 3
    assert all(line.startswith(" " * 8 + "f") or line[8] != " " for line in lines[2:])


@pytest.mark.parametrize("width", [40, 60, 80])
def test_a_row_too_wide_becomes_a_paragraph_of_whole_parts(printed, width):
    row = ("2026-01-01 00:00:00", "a-monitor-of-the-north-wing", "collecting", "P-12345", "12.3x")
    lines = printed(
        printed_tables.print_table,
        ("time", "monitor", "outcome", "entity", "over"),
        [row],
        width=width,
    )
    text = "\n".join(lines)
    for part in row:
        assert part in text


def test_a_word_longer_than_the_terminal_is_cut_at_its_edge(printed):
    assert printed(printed_tables.print_words, "x" * 100) == ["x" * 80, "x" * 20]


def test_wide_letters_count_twice(printed, capsys):
    lines = printed(printed_tables.print_words, "温度" * 30, width=80)
    assert [len(line) for line in lines] == [40, 20]


def test_text_from_outside_cannot_move_the_cursor():
    assert printed_tables.one_line("a\x1b[2J\nb\tc\x00\u202e") == "a\\x1b[2J b c\\x00\\u202e"


def test_records_side_by_side_are_as_many_as_fit(printed):
    rows = [("time (UTC)", ["2026-01-01 00:00:00"] * 5), ("flow", [1.0, 1 / 3, None, 1e-9, True])]
    lines = printed(printed_tables.print_side_by_side, rows)
    assert lines[0].split() == ["record", "1", "record", "2", "record", "3"]
    assert lines[2].split() == ["flow", "1", "0.333333"]
    narrow = printed(printed_tables.print_side_by_side, rows, width=40)
    assert narrow[0].split() == ["record", "1"]


def test_long_names_and_texts_are_shortened_side_by_side(printed):
    lines = printed(
        printed_tables.print_side_by_side, [("time", ["t" * 26, "t"]), ("n" * 90, ["v" * 90, "w"])]
    )
    assert "t" * 26 in lines[1]
    assert lines[2].count("…") == 2


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        ("2026-01-01T10:00:00.123456+00:00", "2026-01-01T10:00:00"),
        ("2026-01-01T10:00:00.5Z", "2026-01-01T10:00:00"),
        ("2026-01-01T10:00:00.5+02:00", "2026-01-01T10:00:00.5+02:00"),
        ("P-17", "P-17"),
    ],
)
def test_a_key_that_is_a_time_is_shown_to_the_second(key, shown):
    assert printed_tables.short_key(key) == shown
