"""Foreign text in Markdown: as it is, and never markup."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from archlint.report.markup import code, fenced, prose, row
from archlint.report.quoting import one_line, visible

from .strategies import NAMES, PAYLOADS

PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
ANY = st.one_of(NAMES, st.text(st.characters(codec=None), max_size=60))


def inline(text: str) -> list[Token]:
    """What a line of Markdown is made of."""
    first, content, last = PARSER.parse(text)
    assert (first.type, content.type, last.type) == ("paragraph_open", "inline", "paragraph_close")
    return content.children or []


@given(ANY)
def test_code_is_what_it_was(text: str) -> None:
    (token,) = (token for token in inline(f"x {code(text)} y") if token.type != "text")
    assert (token.type, token.content) == ("code_inline", visible(text) or " ")


@pytest.mark.parametrize("text", ["", " ", "  ", " a ", "` a", "a `", "``", " `", "a``b`"])
def test_code_keeps_its_ends(text: str) -> None:
    (token,) = inline(code(text))
    assert token.content == (text or " ")


@given(ANY)
def test_prose_reads_as_it_was(text: str) -> None:
    tokens = inline(f"x {prose(text)}")
    assert {token.type for token in tokens} <= {"text", "code_inline"}
    assert "".join(token.content for token in tokens) == f"x {one_line(text)}".rstrip(" ")


@pytest.mark.parametrize("text", PAYLOADS)
def test_what_github_or_markdown_would_see_is_code(text: str) -> None:
    """All but marks that stand for themselves inside a line."""
    plain = "".join(token.content for token in inline(f"x {prose(text)}") if token.type == "text")
    assert not set(plain) & set("@#/<>[]`$&_*~|\\{}=^")
    assert "evil" not in plain
    assert ":t" not in plain
    assert not any(char.isdigit() for char in plain.replace("1.", ""))


@pytest.mark.parametrize(
    "text",
    [
        "the model's own layer, as it is (and 2 more): 97.8 % of it – not bad; is it? 4× yes…",
        "Gemma4ClippableLinear is no nn.Linear; PEFT refuses it",
    ],
)
def test_plain_words_stay_plain(text: str) -> None:
    assert prose(text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("take lm_head, then (of a_b) both.", "take `lm_head`, then (of `a_b`) both."),
        ("(a_b): it is", "`(a_b)`: it is"),
        ("(a_b and c)", "(`a_b` and c)"),
        ("targets=['q_proj', 'v_proj'] raises", "`targets=['q_proj', 'v_proj']` raises"),
        ("call f_x(1).", "call `f_x(1)`."),
        ("see a_b. x_y is", "see `a_b`. `x_y` is"),
        ("a `quoted` word", "a `` `quoted` `` word"),
        ("", ""),
    ],
)
def test_only_the_words_themselves_are_code(text: str, expected: str) -> None:
    assert prose(text) == expected


@given(ANY, st.sampled_from(["text", "python"]))
def test_a_fence_holds_its_lines(text: str, language: str) -> None:
    before, token, after = (token for token in PARSER.parse(f"a\n\n{fenced(text, language)}\nb\n") if token.content)
    assert (before.content, after.content) == ("a", "b")
    assert (token.type, token.info) == ("fence", language)
    assert token.content == "\n".join(map(visible, text.split("\n"))) + "\n"


@given(st.lists(ANY, min_size=1, max_size=4), ANY)
def test_a_row_has_its_cells(names: list[str], text: str) -> None:
    cells = [*map(code, names), f"x {prose(text)}"]
    table = row(*cells) + row(*["---"] * len(cells)) + row(*cells)
    read = [token for token in PARSER.parse(table) if token.type == "inline"]
    assert len(read) == 2 * len(cells)
    for token, name in zip(read, [*names, None] * 2, strict=True):
        children = token.children or []
        if name is not None:
            assert [(child.type, child.content) for child in children] == [("code_inline", visible(name) or " ")]
        else:
            assert "".join(child.content for child in children) == f"x {one_line(text)}".rstrip(" ")


def test_long_names_take_no_long_time() -> None:
    for text in ("." * 200_000 + "x", "(" * 200_000, "`" * 200_000, "a-" * 100_000, "0e" * 100_000):
        assert prose(text)
        assert code(text)
