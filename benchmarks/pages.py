"""Tables in pages: Markdown, between two comments with the table's name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path


def table(header: Sequence[str], rows: Iterable[Sequence[object]], *, left: int = 1) -> str:
    """A table in Markdown; all columns but the first ``left`` are figures, and stand at the right."""
    rule = ["---" if number < left else "---:" for number in range(len(header))]
    return "".join(f"| {' | '.join(map(str, cells))} |\n" for cells in (header, rule, *rows))


def marks(name: str) -> tuple[str, str]:
    """The comments around the table of that name."""
    return f"<!-- {name} -->\n", f"<!-- end of {name} -->\n"


def found(text: str, name: str) -> str:
    """The table of that name.

    Raises:
        ValueError: the text has no place for it, or more than one.
    """
    begin, end = marks(name)
    if text.count(begin) != 1 or text.count(end) != 1:
        raise ValueError(f"the page has not one place for the table {name!r}")
    return text.partition(begin)[2].partition(end)[0].strip() + "\n"


def replaced(text: str, tables: Mapping[str, str]) -> str:
    """The text with these tables, by name, in their places; all else stays as it is."""
    for name, table in tables.items():
        found(text, name)
        begin, end = marks(name)
        before, _, rest = text.partition(begin)
        text = f"{before}{begin}\n{table.strip()}\n\n{end}{rest.partition(end)[2]}"
    return text


def write(page: Path, tables: Mapping[str, str]) -> None:
    """Put the tables into a page."""
    page.write_text(replaced(page.read_text(encoding="utf-8"), tables), encoding="utf-8")
