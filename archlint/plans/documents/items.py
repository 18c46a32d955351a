"""Items of a list come and go one by one; the others stand as they stood, with what is said of them."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

from archlint.plans.documents.splicing import Lines, Splice

Succession = Sequence[tuple[int | None, str]]
"""A list to be, in its order: each item as it is written, with the number of the old one that it is, if it is one.

The numbers grow.
"""

Span = tuple[int, int]
"""Two offsets into a text."""

_TOKEN = re.compile(r"(?P<comma>,)|(?P<space>[ \t]+)|(?P<break>\r?\n)|(?P<comment>#[^\r\n]*)")


def successors(old: Sequence[Any], new: Sequence[Any]) -> list[int | None]:
    """For each of ``new`` the number of the item of ``old`` that it is: as many as keep their order."""
    places: dict[str, deque[int]] = defaultdict(deque)
    for number, item in enumerate(old):
        places[repr(item)].append(number)
    found = [there.popleft() if (there := places[repr(item)]) else None for item in new]
    ends: list[int] = []  # the lowest number that a growing row of each length ends in, and where that is
    at: list[int] = []
    before: dict[int, int | None] = {}
    for place, end in enumerate(found):
        if end is not None:
            length = bisect_left(ends, end)
            ends[length:], at[length:] = [end, *ends[length + 1 :]], [place, *at[length + 1 :]]
            before[place] = at[length - 1] if length else None
    kept = set()
    step = at[-1] if at else None
    while step is not None:
        kept.add(step)
        step = before[step]
    return [number if place in kept else None for place, number in enumerate(found)]


@dataclass(frozen=True, slots=True)
class Run:
    """New items that stand one behind the other, the old one before them, and those that went from there."""

    before: int | None
    gone: range
    texts: Sequence[str]

    @property
    def instead(self) -> Iterator[tuple[int, str]]:
        """The numbers of those that went and in whose place a new one stands, with it."""
        return zip(self.gone, self.texts, strict=False)

    @property
    def rest(self) -> Sequence[str]:
        """The new ones for which no place became free."""
        return self.texts[len(self.gone) :]

    @property
    def last(self) -> int | None:
        """The number that :attr:`rest` stands behind; ``None`` where that is in front of all."""
        return self.gone[-1] if self.gone else self.before


def runs(count: int, new: Succession) -> Iterator[Run]:
    """The new items of a list that had ``count``, and those that are gone."""
    before: int | None = None
    texts: list[str] = []
    for number, text in (*new, (count, "")):
        if number is None:
            texts.append(text)
            continue
        gone = range(0 if before is None else before + 1, number)
        if texts or gone:
            yield Run(before, gone, texts)
        before, texts = number, []


def relined(lines: Lines, spans: Sequence[Span], behind: int, prefix: str, new: Succession) -> list[Splice]:
    """The changes to a list with its items on lines of their own, which are at ``spans``.

    An item that goes takes its lines with it; comments on other lines stay. A new one stands behind ``prefix``, in
    the place of those that are gone, or on the line behind the item before it, or on the line behind ``behind``.
    """
    splices: list[Splice] = []
    for run in runs(len(spans), new):
        written = [f"{prefix}{text}" for text in run.texts]
        if run.gone:
            at = lines.start(spans[run.gone[0]][0])
            splices.append((at, at, "".join(f"{line}{lines.newline}" for line in written)))
        else:
            at = lines.end(behind if run.before is None else spans[run.before][1] - 1)
            splices.append((at, at, "".join(f"{lines.newline}{line}" for line in written)))
        splices += [(lines.start(start), lines.after(end - 1), "") for start, end in (spans[n] for n in run.gone)]
    return splices


def relisted(inside: str, spans: Sequence[Span], newline: str, margin: str, new: Succession) -> str | None:
    """What stands between the brackets of a list, with its items at ``spans``, once these are ``new``.

    A comment goes with the items of its line if they all go. A new item takes the place of one that is gone, or
    stands as its neighbours do: on their line, or on one of its own, behind ``margin`` where there is no pattern.
    ``None`` where more stands between the items than commas, blanks and comments.
    """
    pieces = _pieces(inside, spans)
    if pieces is None:
        return None
    ends_with_comma = any(piece.kind == "comma" and piece.is_last for piece in pieces)
    rows = _rows(pieces)
    first = _settle(pieces, new)
    return _joined(_rewritten(rows, first, newline, margin), ends_with_comma)


@dataclass(slots=True, eq=False)
class _Piece:
    """A part of a list between brackets: an item, or what stands between two."""

    kind: str
    text: str
    is_last: bool = False
    """Whether no item stands behind it."""
    is_gone: bool = False
    is_old: bool = True
    """Whether it is the item that stood here, and not another in its place."""
    behind: list[str] = field(default_factory=list)
    """New items that are to stand behind it."""


_Row = list[_Piece]


def _pieces(inside: str, spans: Sequence[Span]) -> list[_Piece] | None:
    pieces: list[_Piece] = []
    at = 0
    for start, end in (*spans, (len(inside), len(inside))):
        if not at <= start <= end:
            return None
        while at < start:
            token = _TOKEN.match(inside, at, start)
            if token is None:
                return None
            pieces.append(_Piece(str(token.lastgroup), token[0], is_last=start == len(inside)))
            at = token.end()
        pieces.append(_Piece("item", inside[start:end]))
        at = end
    return pieces[:-1]


def _rows(pieces: Sequence[_Piece]) -> list[_Row]:
    rows: list[_Row] = [[]]
    for piece in pieces:
        rows[-1].append(piece)
        if piece.kind == "break":
            rows.append([])
    return rows


def _settle(pieces: Sequence[_Piece], new: Succession) -> list[str]:
    """Tell ``pieces`` what becomes of them; new items that are to stand before all others are returned."""
    first: list[str] = []
    items = [piece for piece in pieces if piece.kind == "item"]
    for number, text in new:
        if number is not None:
            items[number].text = text
    for run in runs(len(items), new):
        for number in run.gone:
            items[number].is_old = False
            items[number].is_gone = True
        for number, text in run.instead:
            items[number].text, items[number].is_gone = text, False
        behind = first if run.last is None else items[run.last].behind
        behind += run.rest
    is_free = False
    for piece in pieces:
        if piece.kind == "item":
            is_free = piece.is_gone
        elif piece.kind == "comma":
            piece.is_gone = is_free
    return first


def _rewritten(rows: Sequence[_Row], first: Sequence[str], newline: str, margin: str) -> list[_Row]:
    """``rows`` with what :func:`_settle` told; the brackets stand in the first and in the last one."""
    own = [_margin(row) if number else None for number, row in enumerate(rows)]
    following = margin
    margins: list[str] = []
    for there in reversed(own):
        following = following if there is None else there
        margins.append(following)
    margins.reverse()
    done: list[_Row] = []
    for number, row in enumerate(rows):
        items = [piece for piece in row if piece.kind == "item"]
        if first and items and not any(piece.kind == "item" for other in done for piece in other):
            new = [_Piece("item", text) for text in first]
            if number:
                done[1:1] = [[_Piece("space", margins[number]), item, _Piece("break", newline)] for item in new]
            else:
                at = row.index(items[0])
                row[at:at] = [part for item in new for part in (item, _Piece("comma", ","), _Piece("space", " "))]
            first = []
        kept = _without_gone(row)
        if items and all(piece.kind in ("space", "break") for piece in kept):
            if number + 1 == len(rows) and done and all(piece.kind != "comment" for piece in done[-1]):
                done[-1] = [piece for piece in done[-1] if piece.kind != "break"]
                continue
            if 0 < number < len(rows) - 1:
                continue
            kept = [piece for piece in kept if number or piece.kind == "break"]
        done += _with_new(kept, newline, margins[number], own[number] is not None)
    return done


def _margin(row: _Row) -> str | None:
    """The blanks before the item that a row begins with; ``None`` where it begins with something else."""
    blanks = ""
    for piece in row:
        if piece.kind != "space":
            return blanks if piece.kind == "item" else None
        blanks += piece.text
    return None


def _without_gone(row: _Row) -> _Row:
    items = [piece for piece in row if piece.kind == "item"]
    loses_comments = bool(items) and not any(item.is_old for item in items)
    kept: _Row = []
    closes_up = False
    for piece in row:
        if piece.is_gone or (loses_comments and piece.kind == "comment"):
            closes_up = True
        elif closes_up and piece.kind == "space":
            closes_up = False
        else:
            if closes_up and piece.kind == "break":
                _strip(kept)
            closes_up = False
            kept.append(piece)
    if closes_up:
        _strip(kept)
    return kept


def _strip(row: _Row) -> None:
    while len(row) > 1 and row[-1].kind == "space":
        row.pop()


def _with_new(row: _Row, newline: str, margin: str, begins: bool) -> list[_Row]:
    """``row`` with the new items in it, and the rows of those behind it."""
    has_break = bool(row) and row[-1].kind == "break"
    last = next((piece for piece in reversed(row) if piece.kind == "item"), None)
    below = last.behind if last is not None and (has_break or begins) else []
    written: _Row = []
    waiting: list[str] = []
    tail = 0
    for piece, following in zip_longest(row, row[1:]):
        written.append(piece)
        if piece.kind == "item":
            waiting = piece.behind if piece is not last or not below else []
        if piece.kind == "comma" or following is None or following.kind != "comma":
            written += [part for text in waiting for part in (_Piece("space", " "), _Piece("item", text))]
            waiting = []
        if piece is last or piece.kind == "comma":
            tail = len(written)
    if not below:
        return [written]
    rest = [] if has_break else written[tail:]
    head = written if has_break else [*written[:tail], _Piece("break", newline)]
    rows = [[_Piece("space", margin), _Piece("item", text), _Piece("break", newline)] for text in below]
    if not has_break:
        rows[-1][-1:] = rest
    return [head, *rows]


def _joined(rows: Sequence[_Row], ends_with_comma: bool) -> str:
    """The text of ``rows``, with a comma behind each item, that of the last one as it was."""
    pieces = [piece for row in rows for piece in row]
    last = max(place for place, piece in enumerate(pieces) if piece.kind == "item")
    parts: list[str] = []
    needs_comma = 0  # the place of a comma among the parts, should none come by itself
    for place, piece in enumerate(pieces):
        if piece.kind == "comma" and place > last and not ends_with_comma:
            continue
        if piece.kind == "comment" and parts and "".join(parts[-2:])[-1:] not in (" ", "\t", "\n", ""):
            parts.append(" ")
        parts.append(piece.text)
        if piece.kind == "comma" and needs_comma:
            parts[needs_comma] = ""
            needs_comma = 0
        elif piece.kind == "item":
            needs_comma = len(parts) if place < last or ends_with_comma else 0
            parts.append("," if needs_comma else "")
    return "".join(parts)
