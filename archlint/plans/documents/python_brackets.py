"""What stands between brackets in Python, separated by commas, and how it is taken out and put in."""

from __future__ import annotations

import tokenize
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from archlint.plans.documents.items import runs
from archlint.plans.documents.splicing import Lines, Splice

LINE_ENDS = r"\r\n|\r|\n"
"""What ends a line for Python: not the other signs that ``str.splitlines`` has."""
_BLANKS = " \t\f"
_LAYOUT = frozenset({tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER})
_Span = tuple[int, int]


class Tokens:
    """The brackets, commas, comments and words of a text, by their offsets."""

    def __init__(self, text: str, lines: Lines) -> None:
        self.text = text
        self.lines = lines
        self.closing: dict[int, int] = {}
        """For the offset of each opening bracket, that of the one that closes it."""
        self.opening: dict[int, int] = {}
        self._commas: dict[int, list[int]] = defaultdict(list)
        self._comments: list[_Span] = []
        self._words: list[_Span] = []
        self._strings: list[_Span] = []
        above = [-1]
        # the tokenizer of the library ends lines at \n only
        for token in tokenize.generate_tokens(map("{}\n".format, lines).__next__):
            if token.type in _LAYOUT:
                continue
            start = lines.first(token.start[0]) + token.start[1]
            end = lines.first(token.end[0]) + token.end[1]
            if token.type == tokenize.COMMENT:
                self._comments.append((start, end))
                continue
            self._words.append((start, end))
            if token.type == tokenize.STRING:
                self._strings.append((start, end))
            elif token.type == tokenize.OP and token.string in ("(", "[", "{"):
                above.append(start)
            elif token.type == tokenize.OP and token.string in (")", "]", "}"):
                opened = above.pop()
                self.closing[opened], self.opening[start] = start, opened
            elif token.type == tokenize.OP and token.string == ",":
                self._commas[above[-1]].append(start)

    def commas(self, opened: int) -> list[int]:
        """The commas directly inside the brackets that open at ``opened``."""
        return self._commas[opened]

    def comments(self, start: int, end: int) -> list[_Span]:
        """The comments between two offsets."""
        return self._comments[bisect_left(self._comments, (start,)) : bisect_left(self._comments, (end,))]

    def words(self, start: int, end: int) -> list[_Span]:
        """What between two offsets is neither blank nor a comment."""
        return self._words[bisect_left(self._words, (start,)) : bisect_left(self._words, (end,))]

    def quote(self, start: int, end: int) -> str:
        """The quotes that texts between two offsets stand in, if they all stand in single ones; else double ones."""
        found = self._strings[bisect_left(self._strings, (start,)) : bisect_left(self._strings, (end,))]
        signs = {self.text[start:end].lstrip("rRbBuUfFtT")[0] for start, end in found}
        return "'" if signs == {"'"} else '"'


@dataclass(frozen=True, slots=True)
class _Member:
    """From its first sign to its last, parentheses around it included, and the comma behind it."""

    start: int
    end: int
    comma: int | None

    @property
    def stop(self) -> int:
        return self.end if self.comma is None else self.comma + 1


class Brackets:
    """The arguments of a call, the items of a list, the pairs of a dictionary.

    ``spans`` are where the members stand by the syntax tree, which leaves out parentheses.
    """

    def __init__(self, tokens: Tokens, opened: int, spans: Sequence[_Span]) -> None:
        self._text = tokens.text
        self._lines = tokens.lines
        self.start = opened
        self.end = tokens.closing[opened]
        starts = [start for start, _ in spans]
        commas = [at for at in tokens.commas(opened) if not _is_inside(at, starts, spans)]  # a lambda has its own
        self._members: list[_Member] = []
        for start, stop in zip([opened + 1, *(at + 1 for at in commas)], [*commas, self.end], strict=True):
            if words := tokens.words(start, stop):
                comma = stop if stop < self.end else None
                self._members.append(_Member(words[0][0], words[-1][1], comma))
        self._on_line: dict[int, set[int]] = defaultdict(set)
        for number, member in enumerate(self._members):
            for at in (member.start, member.end, member.stop - 1):
                self._on_line[self._lines.number(at)].add(number)
        within = [(member.start, member.end) for member in self._members]
        starts = [start for start, _ in within]
        self._comments = [
            comment for comment in tokens.comments(opened, self.end) if not _is_inside(comment[0], starts, within)
        ]

    def __len__(self) -> int:
        return len(self._members)

    @property
    def has_free_comments(self) -> bool:
        """Whether a comment stands on a line without a member."""
        return any(not self._owners(comment) for comment in self._comments)

    def arranged(self, order: Sequence[int | str], comma: bool | None = None) -> list[Splice]:
        """The changes after which the members are those of ``order``: old ones by their number, new ones as text.

        Old ones keep their order, their comments and what stands around them. One that goes takes the comment at
        the end of its line along, unless others stand there too. ``comma`` tells whether one stands behind the
        last member; as before, if it is ``None``.
        """
        if not self._members:
            return self._filled([str(text) for text in order], comma)
        trailing = self._members[-1].comma is not None if comma is None else comma
        stays = {number for number in order if isinstance(number, int)}
        instead, behind, front = self._places(order)
        staying = stays | instead.keys()
        last = max(staying, default=-1)
        splices: list[Splice] = [
            (self._members[number].start, self._members[number].end, text) for number, text in instead.items()
        ]
        gone: list[_Span] = []
        for number, member in enumerate(self._members):
            if number not in staying:
                gone += [(member.start, member.end)]
                gone += [(member.comma, member.comma + 1)] if member.comma is not None else []
                continue
            needs_comma = number != last or trailing
            splices += self._followed(member, behind.get(number, []), needs_comma)
            if member.comma is not None and not needs_comma and not self._takes_lines(member, behind.get(number, [])):
                gone.append((member.comma, member.comma + 1))
        if front:
            start = self._members[0].start
            alone = not self._before(start).strip(_BLANKS)
            between = f",{self._lines.newline}{self._lines.margin(start)}" if alone else ", "
            splices.append((start, start, "".join(f"{text}{between}" for text in front)))
        for comment in self._comments:
            owners = self._owners(comment)
            if owners and not owners & stays:
                gone.append(comment)
        return [*splices, *self._without(gone)]

    def _places(self, order: Sequence[int | str]) -> tuple[dict[int, str], dict[int, list[str]], list[str]]:
        """New members that stand instead of old ones, those behind another, and those in front of all.

        One that comes where others go takes the place of the first of these, and with it their layout.
        """
        instead: dict[int, str] = {}
        behind: dict[int, list[str]] = {}
        front: list[str] = []
        new = [(None, element) if isinstance(element, str) else (element, "") for element in order]
        for run in runs(len(self._members), new):
            instead.update(run.instead)
            if run.last is None:
                front = [*run.rest]
            elif run.rest:
                behind[run.last] = [*run.rest]
        return instead, behind, front

    def _filled(self, texts: list[str], comma: bool | None) -> list[Splice]:
        if not texts:
            return []
        at = self._lines.start(self.end)
        if at <= self.start or self._before(self.end).strip(_BLANKS):
            return [(self.end, self.end, ", ".join(texts) + ("," if comma else ""))]
        margin = f"{self._lines.margin(self.end)}    "
        ends = [","] * (len(texts) - 1) + ["" if comma is False else ","]
        lines = (f"{margin}{text}{end}{self._lines.newline}" for text, end in zip(texts, ends, strict=True))
        return [(at, at, "".join(lines))]

    def _followed(self, member: _Member, texts: list[str], comma: bool) -> list[Splice]:
        """``member`` with ``texts`` behind it, and a comma at the end."""
        missing = "," if member.comma is None and comma else ""
        if not self._takes_lines(member, texts):
            text = "".join(f", {text}" for text in texts) + missing
            return [(member.end, member.end, text)] if text else []
        own = [(member.end, member.end, ",")] if member.comma is None else []
        margin = f"{self._lines.newline}{self._lines.margin(member.start)}"
        at = self._lines.end(member.stop)
        text = ",".join(f"{margin}{text}" for text in texts) + ("," if comma else "")
        return [*own, (at, at, text)]

    def _takes_lines(self, member: _Member, texts: list[str]) -> bool:
        """Whether ``texts`` come on lines of their own, since ``member`` has its line for itself."""
        rest = self._text[member.stop : self._lines.end(member.stop)].strip(_BLANKS)
        alone = not self._before(member.start).strip(_BLANKS) and (not rest or rest.startswith("#"))
        return bool(texts) and alone and not self._text[member.end : member.stop].strip(f"{_BLANKS},")

    def _owners(self, comment: _Span) -> set[int]:
        """The members on the line of a comment."""
        return self._on_line.get(self._lines.number(comment[0]), set())

    def _before(self, offset: int) -> str:
        return self._text[self._lines.start(offset) : offset]

    def _without(self, gone: Iterable[_Span]) -> Iterator[Splice]:
        """What is taken out, with the blanks, and the lines, that nothing else stands on then."""
        merged: list[list[int]] = []
        for start, end in sorted(gone):
            if merged and not self._text[merged[-1][1] : start].strip(_BLANKS):
                merged[-1][1] = end
            else:
                merged.append([start, end])
        for start, end in merged:
            before, behind = self._before(start), self._text[end : self._lines.end(end)]
            left, right = before.rstrip(_BLANKS), behind.lstrip(_BLANKS)
            if not left and right in ("", "\\"):
                yield self._lines.start(start), self._lines.after(end), ""
            elif left and (not right or right[0] in "#)]}\\"):
                yield start - len(before) + len(left), end, ""
            else:
                yield start, end + len(behind) - len(right), ""


def _is_inside(offset: int, starts: Sequence[int], spans: Sequence[_Span]) -> bool:
    """Whether one of ``spans``, which begin at the sorted ``starts``, holds ``offset``."""
    number = bisect_right(starts, offset) - 1
    return number >= 0 and offset < spans[number][1]
