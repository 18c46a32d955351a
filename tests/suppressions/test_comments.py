"""Comments to archlint: which there are, what they say, and at which class they stand."""

from __future__ import annotations

import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archlint.suppressions import Comment, comments


def read(text: str) -> list[Comment]:
    return list(comments("net.py", textwrap.dedent(text).lstrip("\n")))


def at(text: str) -> list[tuple[str, int | None]]:
    """The reason of each comment, and the line of its class."""
    return [(comment.reason, comment.class_line) for comment in read(text)]


def test_on_the_line_of_the_class() -> None:
    (comment,) = read("class A(nn.Linear):  # archlint: ignore[ARC102] the scale is folded\n    pass")
    assert (comment.location.file, comment.location.line) == ("net.py", 1)
    assert (comment.class_name, comment.class_line) == ("A", 1)
    assert (comment.names, comment.reason) == (("ARC102",), "the scale is folded")


def test_on_any_line_of_the_statement_or_directly_above() -> None:
    text = """
        # archlint: ignore[ARC1] a
        # what stands between them
        # archlint: ignore[ARC1] b
        @first  # archlint: ignore[ARC1] c
        # archlint: ignore[ARC1] d
        @second(
            1,  # archlint: ignore[ARC1] e
        )
        class A(
            Base,
            # archlint: ignore[ARC1] f
        ):  # archlint: ignore[ARC1] g
            pass
    """
    assert at(text) == [(letter, 9) for letter in "abcdefg"]


def test_a_class_in_a_block() -> None:
    text = """
        if True:
            # archlint: ignore[ARC1] a
            class A: pass  # archlint: ignore[ARC1] b

            def make():
                # archlint: ignore[ARC1] c
                class B: ...
    """
    assert at(text) == [("a", 3), ("b", 3), ("c", 7)]


@pytest.mark.parametrize(
    "text",
    [
        # a line further
        """
        # archlint: ignore[ARC1] x

        class A: ...
        """,
        # behind code
        """
        size = 8  # archlint: ignore[ARC1] x
        class A: ...
        """,
        # of the class before
        """
        class B:
            size = 8
            # archlint: ignore[ARC1] x
        class A: ...
        """,
        # in the body
        """
        class A:
            # archlint: ignore[ARC1] x
            size = 8
        """,
        # at a module's line
        """
        class A:
            def __init__(self):
                self.q_proj = Wrapper(8)  # archlint: ignore[ARC1] x
        """,
        # at a function
        """
        # archlint: ignore[ARC1] x
        def make(): ...
        """,
        # where a decorator is a function's
        """
        @cache
        # archlint: ignore[ARC1] x
        def make(): ...
        class A: ...
        """,
    ],
)
def test_anywhere_else_it_stands_at_no_class(text: str) -> None:
    assert at(text) == [("x", None)]


@pytest.mark.parametrize(
    "text",
    [
        "x = 'class A:  # archlint: ignore[ARC1]'",
        'class A:\n    """\n    # archlint: ignore[ARC1]\n    """',
        'f"{x}  # archlint: ignore[ARC1]"',
        "class A: ...  # see archlint: ignore[ARC1]",
        "class A: ...  # archlint ignore[ARC1]",
        "class A: ...  # noqa: E501",
        "",
    ],
)
def test_what_is_none(text: str) -> None:
    assert read(text) == []


@pytest.mark.parametrize(
    ("comment", "names", "reason"),
    [
        ("# archlint: ignore[ARC101, ARC303] why not", ("ARC101", "ARC303"), "why not"),
        ("#archlint:ignore[ARC101,arc3,,ARC101]", ("ARC101", "arc3"), ""),
        ("#  Archlint :  ignore [ tuple-output ]  -- as said in #12", ("tuple-output",), "as said in #12"),
        ("# archlint: ignore[ARC101]: see [1] (below)", ("ARC101",), "see [1] (below)"),
        ("# type: ignore[misc]  # archlint: ignore[ARC101] why  # noqa: E501", ("ARC101",), "why"),
        ("# archlint: ignore", (), ""),
        ("# archlint: ignore[]", (), ""),
        ("# archlint: ignore[ , ] why", (), "why"),
        ("# archlint: ignore ARC101 why", (), ""),
        ("# archlint: ignore[ARC101", (), ""),
        ("# archlint: disable=ARC101", (), ""),
        ("# archlint:", (), ""),
    ],
)
def test_what_a_comment_says(comment: str, names: tuple[str, ...], reason: str) -> None:
    (found,) = read(f"class A: ...  {comment}")
    assert (found.names, found.reason) == (names, reason)


def test_one_comment_may_hold_two() -> None:
    text = "class A: ...  # archlint: ignore[ARC1] one  # archlint: ignore[ARC2] two"
    assert [(comment.names, comment.reason) for comment in read(text)] == [(("ARC1",), "one"), (("ARC2",), "two")]


@pytest.mark.parametrize("rest", ["def (", "'", "(", "\0", "\ud800", "  x\n y", "class", "\\"])
def test_a_file_that_is_no_python_has_none(rest: str) -> None:
    assert read(f"class A: ...  # archlint: ignore[ARC1]\n{rest}") == []


CODE = st.lists(
    st.sampled_from(
        [
            "class A",
            "(",
            ")",
            ":",
            "\n",
            "    ",
            "@x",
            "# archlint: ignore[ARC1] y",
            "# archlint:",
            "'",
            '"""',
            "\\",
            "\r",
        ]
    )
    | st.text(max_size=4),
    max_size=30,
).map(" ".join)


@given(st.text() | CODE | CODE.map("# archlint: ignore[ARC1]\n{}".format))
def test_any_text_is_read(text: str) -> None:
    lines = text.count("\n") + text.count("\r") + 1
    for comment in comments("net.py", text):
        assert 1 <= comment.location.line <= lines
        assert comment.class_line is None or comment.class_name.isidentifier()
