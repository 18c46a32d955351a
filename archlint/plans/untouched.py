"""What a change to some keys of a file must leave as it is: all that the others say, and what people noted there."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from archlint.plans.document import Document, PlanError, Section


def check_untouched(before: Document, section: Section, changes: Mapping[str, Any], after: Document) -> None:
    """Make sure that ``after`` is ``before`` with nothing but ``changes`` made to its ``section``.

    Raises:
        PlanError: something else says another thing, or a comment is gone that is about something else.
    """
    changed = before.sections.index(section)
    if _rest(before, changed, changes) != _rest(after, changed, changes):
        raise PlanError(f"{before.path}: {', '.join(changes)} could not be changed without touching something else")
    there = iter([text for _, text in after.comments()])
    for comment in _comments_that_stay(before, section, changes):
        if comment not in there:
            raise PlanError(f"{before.path}: without touching something else, {comment} could not stay")


def _rest(document: Document, changed: int, changes: Collection[str]) -> list[str]:
    """What each section says, the one ``changed`` without the keys of ``changes``."""
    said = []
    for number, section in enumerate(document.sections):
        left_out = changes if number == changed else ()
        entries = {key: entry.data for key, entry in section.entries.items() if key not in left_out}
        said.append(repr((section.about, [word.data for word in section.words], sorted(entries.items(), key=str))))
    return said


def _comments_that_stay(document: Document, section: Section, changes: Mapping[str, Any]) -> Iterator[str]:
    comments = document.comments()
    offsets = [at for at, _ in comments]
    there = {key: data for key, data in changes.items() if key in section.entries}
    keys = _within(offsets, (_of_key(document, section, key) for key, data in there.items() if data is None))
    parts = _within(offsets, (span for key, data in there.items() for span in _of_parts(document, section, key, data)))
    for number, (at, text) in enumerate(comments):
        stands_alone = not document.text[document.text.rfind("\n", 0, at) + 1 : at].strip()
        if number not in keys and (stands_alone or number not in parts):
            yield text


def _within(offsets: list[int], spans: Iterable[tuple[int, int]]) -> set[int]:
    """The numbers of the offsets that lie in one of ``spans``."""
    return {number for start, end in spans for number in range(bisect_left(offsets, start), bisect_left(offsets, end))}


def _of_key(document: Document, section: Section, key: str) -> tuple[int, int]:
    """From a key to the end of the last line of its value."""
    entry = section.entries[key]
    return entry.start, _line_end(document.text, max(entry.start, entry.value.end))


def _of_parts(document: Document, section: Section, key: str, data: Any) -> Iterator[tuple[int, int]]:
    """The items of a value that go where it becomes ``data``, each with the rest of its line as far as it is in it."""
    value = section.entries[key].value
    kept = {repr(item) for item in data} if isinstance(data, list) else set()
    gone = [item for item in value.items if repr(item.data) not in kept]
    has_brackets = document.text[value.end - 1 : value.end] in ("]", "}", ")")
    for part in [value] if isinstance(value.data, Mapping) else gone:
        end = _line_end(document.text, part.end)
        yield part.start, min(end, value.end) if has_brackets else end


def _line_end(text: str, offset: int) -> int:
    end = text.find("\n", offset)
    return len(text) if end < 0 else end
