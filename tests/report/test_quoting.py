"""Foreign text: safe, on one line, short."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from archlint.report.quoting import clip, gist, one_line, visible

ANY = st.text(st.characters(codec=None), max_size=80)


@given(ANY)
def test_what_is_shown_prints(text: str) -> None:
    assert visible(text).isprintable()
    assert one_line(text).isprintable()
    visible(text).encode("utf-8")


@given(ANY)
def test_what_prints_stays_as_it_is(text: str) -> None:
    assert (visible(text) == text) is text.isprintable()


def test_escapes_are_spelled_out() -> None:
    assert visible("a\x1b[31mb\u202ec\n") == r"a\x1b[31mb\u202ec\n"
    assert one_line("a\n  b\tc ") == "a b c"


@given(ANY, st.integers(8, 60))
def test_a_clipped_text_is_no_longer_than_asked(text: str, length: int) -> None:
    clipped = clip(text, length)
    assert len(clipped) <= length
    assert clipped == one_line(text) or clipped.endswith("…")


def test_clipping_cuts_behind_a_word() -> None:
    assert clip("some words, and more", 20) == "some words, and more"
    assert clip("some words, and more", 13) == "some words …"


def test_the_gist_of_what_peft_raises() -> None:
    message = (
        "Target module Block(\n  (a): Linear(in_features=2, out_features=2)\n  (b): Norm()\n) is not supported. "
        "Currently, only others are."
    )
    assert gist(message, 200) == "Target module Block(…) is not supported. …"
    assert gist("No module named torch.nn found", 200) == "No module named torch.nn found"
    assert gist("f(x) and (q|k): fine", 200) == "f(x) and (q|k): fine"


def test_a_printed_module_that_is_cut_off_is_left_out_all_the_same() -> None:
    assert gist("bad Block( (a): Linear(in_features=2", 200) == "bad Block(…)"


@given(ANY)
def test_any_message_has_a_gist(text: str) -> None:
    assert len(gist(text, 40)) <= 40
