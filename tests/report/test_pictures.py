"""The full report as a picture and as a page."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from rich.text import Text

from archlint.core.report import Run
from archlint.report import full, pictures
from archlint.report.layout import Verbatim

TITLE = 'archlint {0} <b>&amp; "x"'
SVG = "{http://www.w3.org/2000/svg}"
both = pytest.mark.parametrize("picture", [pictures.svg, pictures.html])


def texts_of_svg(text: str) -> list[str]:
    """What stands in each line of the picture, the title of its window first."""
    root = ElementTree.fromstring(text)
    rows: dict[str, str] = {}
    for element in root.iter(f"{SVG}text"):
        row = element.get("y", "")
        rows[row] = rows.get(row, "") + (element.text or "")
    return [row.replace("\xa0", " ") for row in rows.values()]


class Page(HTMLParser):
    """The text of a page, its tags and its title."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text, self.tags = "", list[str]()
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


@both
def test_it_asks_nothing_of_other_places(run: Run, picture: Callable[..., str]) -> None:
    drawn = picture(full.render(run, exit_code=1), title=TITLE)
    markup = re.sub(r">[^<]*<", "><", re.sub(r"<style>.*?</style>", "", drawn, flags=re.DOTALL))
    (styles,) = re.findall(r"<style>(.*?)</style>", drawn, flags=re.DOTALL)
    assert "//" not in markup.replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert not re.search(r"url\(|@import|@font-face|//", styles)
    assert not re.search(r"<(script|link|img|image|iframe|object|use)\b", drawn)


def test_a_picture_shows_the_whole_report(gemma: Run) -> None:
    title, *lines = texts_of_svg(pictures.svg(full.render(gemma, exit_code=1), title=TITLE))
    assert title == TITLE
    drawn = "\n".join(lines)
    for said in ("ARC101", "Gemma4ClippableLinear is no nn.Linear; PEFT refuses it", "LoraConfig(", "exit code 1"):
        assert said in drawn
    assert pictures.svg(full.render(gemma, exit_code=1), title="x").count("fill: #cc555a") >= 1  # an error is red


def test_a_picture_is_as_wide_as_its_longest_line() -> None:
    long = "x" * 300
    drawn = pictures.svg(Verbatim(Text(f"{long}end\nshort")), title="x")
    assert texts_of_svg(drawn)[1].rstrip() == f"{long}end"
    _, _, width, _ = (float(number) for number in ElementTree.fromstring(drawn).get("viewBox", "").split())
    assert width > 12 * 300


def test_a_page_shows_the_whole_report(gemma: Run) -> None:
    page = Page(pictures.html(full.render(gemma, exit_code=1), title=TITLE))
    assert TITLE in page.text
    assert set(page.tags) <= {"html", "head", "meta", "title", "style", "body", "pre", "span"}
    for said in ("ARC101 wrapped-linear", "Gemma4ClippableLinear is no nn.Linear", "LoraConfig(", "exit code 1"):
        assert said in page.text


@both
def test_names_are_no_markup(hostile: Run, picture: Callable[..., str]) -> None:
    evil = Verbatim(Text("</pre></text><script>alert(1)</script>&lt;]]>"))
    for content in (evil, full.render(hostile, exit_code=1)):
        drawn = picture(content, title="</title><script>{x}</script>")
        assert "<script" not in drawn
        assert "\x1b" not in drawn
        drawn.encode()
        if picture is pictures.svg:
            ElementTree.fromstring(drawn)


def test_a_picture_is_the_same_each_time(gemma: Run) -> None:
    one, other = (pictures.svg(full.render(gemma, exit_code=1), title="x") for _ in range(2))
    assert one == other
