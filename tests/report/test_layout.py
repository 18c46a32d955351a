"""Wrapping: between words only, and nothing is lost."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rich.text import Text

from archlint.report.layout import Entry, Facts, Lines, Row, Source, Verbatim, draw, wrap

WORDS = st.lists(st.text("abcü漢", min_size=1, max_size=12), max_size=20).map(" ".join)


@given(WORDS, st.integers(1, 40))
def test_wrapping_loses_no_word_and_breaks_none(text: str, width: int) -> None:
    lines = wrap(Text(text), width)
    assert " ".join(line.plain for line in lines) == text
    assert all(line.cell_len <= width or " " not in line.plain for line in lines)


def test_a_row_goes_on_behind_its_gutter() -> None:
    assert draw(Row(Text("why"), Text("one two three"), gutter=5), width=14) == "why  one two\n     three\n"


def test_verbatim_text_is_never_broken() -> None:
    assert draw(Verbatim(Text("a" * 100 + "\n\nb"), 2), width=20) == f"  {'a' * 100}\n\n  b\n"


def test_markup_is_text() -> None:
    assert draw(Row(Text("[red]"), Text("experts[gate] :smile:")), width=80) == "[red]    experts[gate] :smile:\n"


def test_facts_are_broken_between_facts() -> None:
    assert draw(Facts(("one fact", "two facts")), width=12) == "one fact\ntwo facts\n"
    assert draw(Facts(("one fact", "two facts")), width=40) == "one fact · two facts\n"


def test_entries_have_a_column_where_there_is_room() -> None:
    entry = Entry(Text("info"), Text("ARC201"), 8, Text("a norm"))
    assert draw(entry, width=80) == "info     ARC201    a norm\n"
    assert draw(entry, width=40) == "info     ARC201: a norm\n"


def test_lines_of_files_have_a_column_and_are_never_broken() -> None:
    lines = Lines((("a.yml:9", Text("x: [1, 2, 3]")), ("a.yml:10", Text("take out y"))), Text("plan"), 6)
    assert draw(lines, width=16, terminal=True) == "plan  a.yml:9   x: [1, 2, 3]\n      a.yml:10  take out y\n"


def test_source_is_written_for_the_terminal_and_for_its_own_width_elsewhere() -> None:
    source = Source(lambda width: f"{width} columns\nof code", 2, widest=88)
    assert draw(source, width=60) == "  88 columns\n  of code\n"
    assert draw(source, width=60, terminal=True) == "  58 columns\n  of code\n"
    assert draw(source, width=140, terminal=True) == "  88 columns\n  of code\n"


def test_quoted_words_of_any_length_keep_to_a_terminal() -> None:
    quote = "raises ValueError: " + "x" * 70 + " not found"
    for row in (
        Row(Text("tried"), Text(quote), quoted=True),
        Entry(Text("tried"), Text("names"), 5, Text(quote), True),
    ):
        lines = draw(row, width=60, terminal=True).splitlines()
        assert max(map(len, lines)) <= 60
        assert "x" * 70 in "".join(line.strip() for line in lines)
        assert "x" * 70 in draw(row, width=60)
